"""Priors on the map alone."""

import pytest
import torch
from torchmetrics.functional.image import total_variation

from salreg.losses import GiniPrior, TotalVariation

UNANNOTATED = torch.zeros(3, 1, 5, 6)


def test_total_variation_is_torchmetrics_over_the_pairs_of_neighbours():
    maps = torch.randn(3, 2, 5, 6)
    expected = total_variation(maps, reduction="none") / (2 * (4 * 6 + 5 * 5))
    torch.testing.assert_close(TotalVariation().per_sample(maps, UNANNOTATED).value, expected)


def test_total_variation_of_a_table_is_along_its_features():
    assert TotalVariation()(torch.tensor([[0.0, 2.0, 1.0]]), torch.zeros(1, 3)) == 1.5


def test_gini_is_the_mean_absolute_difference_over_all_pairs():
    maps = torch.randn(3, 1, 5, 6)
    flat = maps.abs().flatten(1)
    pairs = (flat[:, :, None] - flat[:, None, :]).abs().sum((1, 2))
    torch.testing.assert_close(GiniPrior().per_sample(maps, UNANNOTATED).value, -pairs / (2 * 30 * flat.sum(1)))


def test_even_maps_have_no_inequality_and_empty_ones_are_undefined():
    losses = GiniPrior().per_sample(torch.stack([torch.ones(4), torch.zeros(4)]), torch.zeros(2, 4))
    assert losses.value[0] == pytest.approx(0)
    assert losses.undefined.tolist() == [False, True]


def test_priors_score_samples_that_nobody_looked_at():
    assert TotalVariation().per_sample(torch.rand(2, 4), torch.zeros(2, 4)).scored.all()
