"""One colour scale for film strips and pages."""

import pytest
import torch

from salreg.history import Frame
from salreg.plotting.scale import Scale


def scale(*maps):
    """Of epochs 0, 1, ..."""
    return Scale.of([Frame(epoch, [saliency], [""], [0.0]) for epoch, saliency in enumerate(maps)], sample=0)


def test_a_loud_untrained_epoch_darkens_no_other():
    loud, quiet = torch.full((10, 10), 1000.0), torch.rand(10, 10)
    assert scale(loud, quiet).limit(quiet) == scale(torch.zeros(10, 10), quiet).limit(quiet) <= 1


def test_a_nearly_silent_map_stays_dark():
    noise, strong = 0.001 * torch.rand(10, 10), torch.ones(10, 10)
    assert scale(strong, strong, noise).limit(noise) == pytest.approx(1 / 50)


def test_a_single_outlier_does_not_darken_its_map():
    spiked = torch.ones(40, 40)
    spiked[0, 0] = 1e6
    assert scale(spiked, spiked).limit(spiked) == 1


def test_a_map_that_is_zero_nearly_everywhere_is_scaled_by_its_maximum():
    spot = torch.zeros(40, 40)
    spot[0, 0] = 3.0
    assert scale(spot, spot).limit(spot) == 3


def test_totals_are_shares_of_the_largest_trained_one():
    seen = scale(torch.full((4, 4), 8.0), torch.full((4, 4), 2.0), torch.full((4, 4), 1.0))
    assert [seen.share(torch.full((4, 4), value)) for value in (8.0, 2.0, 1.0)] == [1, 1, 0.5]


@pytest.mark.parametrize("saliency", [torch.zeros(4, 4), torch.full((4, 4), float("nan"))])
def test_maps_without_saliency_are_dark(saliency):
    seen = scale(saliency, saliency)
    assert (seen.limit(saliency), seen.share(saliency)) == (0, 0)


def test_several_runs_share_the_floor_and_the_total():
    weak, strong = (Frame(1, [torch.full((4, 4), value)], [""], [0.0]) for value in (0.01, 1.0))
    both = Scale.of([weak, strong], sample=0)
    assert both.limit(weak.saliency[0]) == pytest.approx(1 / 50)
    assert both.share(weak.saliency[0]) == pytest.approx(0.01)
