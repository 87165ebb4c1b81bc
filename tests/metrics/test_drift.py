"""Comparing maps, against SciPy and torchmetrics."""

import math

import pytest
import torch
from scipy.stats import entropy, spearmanr
from torchmetrics.functional.image import structural_similarity_index_measure

from salreg.metrics import MapCosine, MapEntropy, MapGini, MapRankCorrelation, MapShift, MapSSIM
from salreg.metrics.functional import (
    map_center,
    map_cosine,
    map_entropy,
    map_gini,
    map_rank_correlation,
    map_shift,
    map_ssim,
)

torch.manual_seed(0)
ONE, TWO = torch.randn(4, 2, 12, 13), torch.randn(4, 2, 12, 13)
FLAT, OTHER = ONE.sum(1).flatten(1), TWO.sum(1).flatten(1)


def test_cosine():
    torch.testing.assert_close(map_cosine(ONE, TWO), torch.cosine_similarity(FLAT, OTHER))
    assert map_cosine(ONE, -3 * ONE).tolist() == pytest.approx([-1] * 4)


def test_rank_correlation_is_scipys_with_ties_and_without():
    for a, b in ((FLAT, OTHER), (FLAT.round(), OTHER.round())):
        expected = [spearmanr(x, y).statistic for x, y in zip(a.numpy(), b.numpy(), strict=True)]
        assert map_rank_correlation(a, b).tolist() == pytest.approx(expected, abs=1e-6)
    assert map_rank_correlation(FLAT, FLAT.exp()).tolist() == pytest.approx([1] * 4)


def test_structural_similarity_is_torchmetrics_on_the_common_range():
    ours = map_ssim(ONE, TWO)
    for i in range(4):
        a, b = ONE[i].sum(0)[None, None], TWO[i].sum(0)[None, None]
        low, high = min(a.min(), b.min()), max(a.max(), b.max())
        theirs = structural_similarity_index_measure((a - low) / (high - low), (b - low) / (high - low), data_range=1.0)
        assert ours[i].item() == pytest.approx(theirs.item(), abs=1e-5)


def test_gini_is_the_mean_absolute_difference_over_all_pairs():
    mass = FLAT.abs()
    pairs = (mass[:, :, None] - mass[:, None, :]).abs().sum((1, 2))
    torch.testing.assert_close(map_gini(ONE), pairs / (2 * mass.shape[1] * mass.sum(1)))


def test_entropy_is_scipys():
    expected = [entropy(row.abs().numpy()) / math.log(FLAT.shape[1]) for row in FLAT]
    assert map_entropy(ONE).tolist() == pytest.approx(expected, abs=1e-5)


def test_the_centre_of_mass_and_its_shift():
    corner, middle = torch.zeros(1, 1, 5, 5), torch.zeros(1, 1, 5, 5)
    corner[..., 0, 4], middle[..., 2, 2] = -2, 1
    assert map_center(corner).tolist() == [[0, 1]]
    assert map_center(middle).tolist() == [[0.5, 0.5]]
    assert map_shift(corner, middle).item() == pytest.approx(0.5)


@pytest.mark.parametrize("compare", [map_cosine, map_rank_correlation, map_ssim, map_shift])
def test_maps_that_cannot_be_compared(compare):
    maps = torch.stack([torch.zeros(1, 12, 12), torch.full((1, 12, 12), torch.nan), torch.rand(1, 12, 12)])
    other = torch.zeros(3, 1, 12, 12)
    other[1:] = torch.rand(2, 1, 12, 12)
    assert compare(maps, other).isnan().tolist() == [True, True, False]
    with pytest.raises(ValueError, match="cannot be compared"):
        compare(ONE, TWO[:, :, :11])


@pytest.mark.parametrize("describe", [map_gini, map_entropy])
def test_a_map_of_zeros_has_no_shape(describe):
    assert describe(torch.stack([torch.zeros(6), torch.rand(6)])).isnan().tolist() == [True, False]


def test_structural_similarity_is_one_of_images():
    with pytest.raises(ValueError, match="needs images"):
        map_ssim(FLAT, OTHER)


@pytest.mark.parametrize(
    ("metric", "function"),
    [(MapCosine, map_cosine), (MapRankCorrelation, map_rank_correlation), (MapSSIM, map_ssim), (MapShift, map_shift)],
)
def test_metrics_are_means_over_batches(metric, function):
    measured = metric()
    for part in (slice(0, 1), slice(1, 4)):
        measured.update(ONE[part], TWO[part])
    torch.testing.assert_close(measured.compute(), function(ONE, TWO).mean())


@pytest.mark.parametrize(("metric", "function"), [(MapEntropy, map_entropy), (MapGini, map_gini)])
def test_maps_without_a_shape_are_counted_apart(metric, function):
    measured = metric()
    measured.update(torch.cat([ONE, torch.zeros_like(ONE[:1])]))
    torch.testing.assert_close(measured.compute(), function(ONE).mean())
    assert measured.undefined == 1
