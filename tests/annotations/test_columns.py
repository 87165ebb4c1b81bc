import pytest
import torch

from salreg.annotations import column_groups, from_columns
from salreg.attributions import FeatureAblation

COLUMNS = ["age", "race_a", "sex", "race_b"]
GROUPS = {"race": ["race_a", "race_b"]}


def test_columns_and_groups_by_name():
    assert from_columns(COLUMNS, spurious=["race"], relevant=["age"], groups=GROUPS).tolist() == [1, -1, 0, -1]


def test_an_unknown_name_is_suggested():
    with pytest.raises(ValueError, match=r"no column or group 'rase' \(did you mean 'race'"):
        from_columns(COLUMNS, spurious=["rase"], groups=GROUPS)
    with pytest.raises(ValueError, match=r"no column 'race_c' \(did you mean"):
        from_columns(COLUMNS, spurious=["race"], groups={"race": ["race_c"]})


def test_a_column_on_both_sides_is_named():
    with pytest.raises(ValueError, match="'race_a' is marked both"):
        from_columns(COLUMNS, spurious=["race"], relevant=["race_a"], groups=GROUPS)


def test_one_string_is_no_list():
    with pytest.raises(ValueError, match="not one string"):
        from_columns(COLUMNS, spurious="age")


def test_a_group_is_ablated_as_one_feature():
    groups = column_groups(COLUMNS, GROUPS)
    assert groups.tolist() == [0, 1, 2, 1]
    model = torch.nn.Linear(4, 2)
    saliency = FeatureAblation(groups=groups)(model, torch.randn(3, 4), torch.tensor([0, 1, 0]))
    assert torch.equal(saliency[:, 1], saliency[:, 3])


def test_groups_that_overlap_are_refused():
    with pytest.raises(ValueError, match="'people' is also in another group"):
        column_groups(COLUMNS, {**GROUPS, "people": ["race_a", "sex"]})
