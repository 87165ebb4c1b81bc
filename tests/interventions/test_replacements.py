"""Replacing a region, and nothing else."""

import pytest
import torch

from salreg.interventions.replacements import REPLACEMENTS, replace
from salreg.rng import Rng

torch.manual_seed(0)
X = torch.rand(4, 2, 6, 6) + torch.arange(4).view(4, 1, 1, 1)
REGION = torch.zeros(4, 1, 6, 6)
REGION[0, :, :3, :3] = 1
REGION[1:3, :, 2:] = 1


@pytest.mark.parametrize("how", REPLACEMENTS)
def test_the_region_changes_and_nothing_else_does(how):
    changed = replace(X, REGION, how, Rng(0)) != X
    inside = REGION.bool().expand_as(X)
    assert not changed[~inside].any()
    assert changed[inside].float().mean() > 0.8


def test_shuffling_keeps_each_samples_places_and_moves_channels_together():
    shuffled = replace(X, REGION, "shuffle", Rng(0))
    for i in range(4):
        inside = REGION[i, 0].bool()
        before, after = X[i][:, inside].T, shuffled[i][:, inside].T
        assert sorted(map(tuple, before.tolist())) == sorted(map(tuple, after.tolist()))


def test_every_order_is_as_likely():
    """Three places: each of the six orders about a sixth of the time."""
    x, region = torch.arange(3.0).expand(6000, 3), torch.ones(6000, 3)
    orders, counts = replace(x, region, "shuffle", Rng(0)).unique(dim=0, return_counts=True)
    assert len(orders) == 6
    assert (counts.float() / 6000 - 1 / 6).abs().max() < 0.03


def test_uniform_noise_spans_the_channels_range():
    replaced = replace(X, torch.ones(4, 1, 6, 6), "uniform", Rng(0))
    for channel in range(2):
        assert X[:, channel].min() <= replaced[:, channel].min()
        assert replaced[:, channel].max() <= X[:, channel].max()
    assert abs(float(replaced.mean() - (X.amax((0, 2, 3)) + X.amin((0, 2, 3))).mean() / 2)) < 0.3


def test_noise_has_the_deviation_asked_for():
    noise = replace(torch.zeros(50, 2, 20, 20), torch.ones(1), "noise", Rng(0), torch.tensor([1.0, 3.0]).view(1, 2, 1, 1))
    assert noise.std((0, 2, 3)).tolist() == pytest.approx([1, 3], rel=0.02)


def test_a_transplant_brings_another_samples_own_region_wherever_it_lies():
    words = torch.tensor([[1.0, 2, 3, 4], [11, 12, 13, 14], [21, 22, 23, 24]])
    region = torch.tensor([[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    assert replace(words, region, "transplant", Rng(0)).tolist() == [[1, 14, 14, 4], [11, 12, 13, 2], [21, 22, 23, 24]]


def test_a_transplant_keeps_the_order_and_the_channels_of_what_it_brings():
    transplanted = replace(X, REGION, "transplant", Rng(0))
    for i in range(3):
        brought = transplanted[i][:, REGION[i, 0].bool()]
        sources = [X[j][:, REGION[j, 0].bool()] for j in range(3) if j != i]
        length = min(brought.shape[1], *(one.shape[1] for one in sources))
        assert any(torch.equal(brought[:, :length], one[:, :length]) for one in sources)


def test_without_another_region_there_is_nothing_to_transplant():
    alone = torch.zeros(4, 1, 6, 6)
    alone[2] = 1
    for region in (alone, torch.zeros(4, 1, 6, 6)):
        assert torch.equal(replace(X, region, "transplant", Rng(0)), X)


def test_a_swap_takes_another_samples_place():
    swapped = replace(X, REGION, "swap", Rng(0))
    floors = swapped[:3].floor()[REGION[:3].bool().expand(3, 2, 6, 6)]
    own = X[:3].floor()[REGION[:3].bool().expand(3, 2, 6, 6)]
    assert (floors != own).all()
    assert torch.equal(replace(X[:1], REGION[:1], "swap", Rng(0)), X[:1])


def test_soft_regions_mix():
    half = replace(X, 0.5 * torch.ones(1, 1, 6, 6), "swap", Rng(0))
    whole = replace(X, torch.ones(1, 1, 6, 6), "swap", Rng(0))
    torch.testing.assert_close(half, (X + whole) / 2)


def test_tables_and_unknown_words():
    table = torch.rand(5, 4)
    assert replace(table, torch.tensor([[1.0, 1, 0, 0]]), "uniform", Rng(0)).shape == (5, 4)
    with pytest.raises(ValueError, match="noise, uniform, shuffle, swap, transplant, not by 'blur'"):
        replace(table, table, "blur", Rng(0))
