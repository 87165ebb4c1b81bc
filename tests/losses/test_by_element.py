"""Where each element of a series is marked by itself, each element is a place."""

import pytest
import torch

from salreg.losses import NAMED
from salreg.metrics.functional import pointing_game, rationale_f1, relevant_saliency, spurious_saliency

WITH_NEIGHBOURS = ("total_variation", "res")  # of which there are others on a line


def _series():
    saliency, annotation = torch.rand(4, 7, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(4, 7, 3)
    annotation[:, 2:4] = -1
    annotation[:, 5, 1] = 1
    return saliency, annotation


@pytest.mark.parametrize("name", sorted(set(NAMED) - set(WITH_NEIGHBOURS)))
def test_losses_are_those_of_the_elements_in_a_row(name):
    saliency, annotation = _series()
    loss = NAMED[name]()
    torch.testing.assert_close(loss(saliency, annotation), loss(saliency.flatten(1), annotation.flatten(1)))


@pytest.mark.parametrize("measure", [spurious_saliency, relevant_saliency, pointing_game, rationale_f1])
def test_so_are_metrics(measure):
    saliency, annotation = _series()
    torch.testing.assert_close(measure(saliency, annotation), measure(saliency.flatten(1), annotation.flatten(1)))
