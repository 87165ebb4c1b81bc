"""How far predictions move when the spurious feature does: of classes and of regressions."""

import pytest
import torch

from salreg.metrics.functional import regression_reliance, reliance
from salreg.metrics.functional.predictions import NO_CLASS


@pytest.mark.parametrize(
    ("before", "after"), [(NO_CLASS, 1), (1, NO_CLASS), (NO_CLASS, NO_CLASS)], ids=["before", "afterwards", "at both times"]
)
def test_a_sample_without_a_class_makes_the_share_nan_if_it_counts(before, after):
    first, second = torch.tensor([0, 1, before]), torch.tensor([0, 0, after])
    assert reliance(first, second).isnan()
    assert reliance(first, second, torch.tensor([True, True, False])) == 0.5


def test_only_samples_that_count_move_a_regression_and_all_of_them_give_its_spread():
    before, after = torch.tensor([0.0, 2.0, 4.0, 6.0]), torch.tensor([1.0, 5.0, 4.0, 60.0])
    found = regression_reliance(before, after, torch.tensor([True, True, True, False]))
    assert found.item() == pytest.approx((1 + 3 + 0) / 3 / 5**0.5)


def test_outputs_for_every_place_are_averaged_over_the_places():
    before, after = torch.randn(5, 2, 3, 4), torch.randn(5, 2, 3, 4)
    expected = regression_reliance(before.mean((2, 3)), after.mean((2, 3)))
    torch.testing.assert_close(regression_reliance(before, after), expected)


def test_of_several_outputs_those_without_a_spread_that_do_not_move_are_left_out():
    before = torch.tensor([[0.0, 7.0], [2.0, 7.0]])
    assert regression_reliance(before, before + torch.tensor([1.0, 0.0])) == 1
    assert regression_reliance(before, before + 1) == torch.inf


def test_a_nan_among_the_outputs_makes_it_nan_even_where_the_sample_does_not_count():
    before = torch.tensor([0.0, 2.0, torch.nan])
    assert regression_reliance(before, before + 1, torch.tensor([True, True, False])).isnan()
