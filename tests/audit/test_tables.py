"""Audits of tables whose reliance is known in advance."""

import pytest
import torch
from torch import nn

from salreg.audit import audit_table

COLUMNS = ["age", "race a", "race b"]
RACE = {"race": ["race a", "race b"]}
ROWS = torch.tensor([[2.0, 1, 0], [-2, 1, 0], [2, 0, 1], [-2, 0, 1]] * 10)
LABELS = (ROWS[:, 0] > 0).long()
NAMES = ["a" if row[1] else "b" for row in ROWS.tolist()]


def linear(age, race):
    """Logits 0 and ``age * age + race * (race a)``."""
    net = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[0.0, 0, 0], [age, race, -race]]))
    return net


def test_a_model_of_the_age_relies_on_the_age_and_not_on_the_race():
    found = audit_table(linear(1, 0), ROWS, LABELS, COLUMNS, features=RACE, groups={"race": NAMES}, progress=False)
    age, race = found.uses
    assert (age.name, race.name) == ("age", "race")
    assert age.changes["substitution"].share.value == 1  # both other signs
    assert race.changes["substitution"].share.value == race.changes["removal"].share.value == 0
    assert set(race.changes) == {"substitution", "removal"}  # a column is there anyway
    assert {name: one.value for name, one in race.saliency.items()} == {"input_times_gradient": 0, "occlusion": 0}
    assert race.places == pytest.approx(2 / 3)
    assert all(one.difference.value == 0 for one in found.gaps)


def test_a_model_of_the_race_errs_by_race_and_the_worst_pair_exchanges_it():
    found = audit_table(
        linear(0, 5), ROWS, LABELS, COLUMNS, features=RACE, groups={"race": NAMES}, classes=["no", "yes"], progress=False
    )
    race = found.uses[1]
    assert race.changes["substitution"].share.value == 1
    assert race.changes["substitution"].shift.value == pytest.approx(0, abs=1e-6)  # to and fro
    rates = {one.name: one.rates["false_positive_rate"].value for one in found.groups}
    assert rates == {"a": 1, "b": 0}
    worst = found.pairs[0]
    assert worst.change in ("a → b", "b → a")
    assert worst.predicted in (("yes", "no"), ("no", "yes"))
    assert "race: a" in worst.before + worst.after


def test_a_model_that_is_a_function_has_no_maps_and_that_is_said():
    found = audit_table(lambda rows: torch.stack([-rows[:, 0], rows[:, 0]], 1), ROWS, LABELS, COLUMNS, progress=False)
    assert all(not one.saliency for one in found.uses)
    assert any("No maps were computed" in one for one in found.unknown)
    assert any("gaps between them are not known" in one for one in found.unknown)


def test_a_feature_of_many_values_gets_some_that_are_drawn():
    rows = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
    found = audit_table(lambda some: 9 * some[:, 0], rows, (rows[:, 0] > 0).long(), ["age"], progress=False)
    share = found.uses[0].changes["substitution"].share
    assert share.cases == pytest.approx(200 * 12, abs=12)
    assert share.value == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (["age", "race a"], {}, "do not fit"),
        (COLUMNS, {"features": {"race": ["race c"]}}, "did you mean 'race b'"),
        (COLUMNS, {"groups": {"race": ["a"]}}, "groups of 1 samples, but there are 40"),
    ],
)
def test_what_does_not_fit_the_rows_is_said(columns, options, message):
    with pytest.raises(ValueError, match=message):
        audit_table(linear(1, 0), ROWS, LABELS, columns, progress=False, **options)
