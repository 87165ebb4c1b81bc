"""Explainers that deserve trust, and such that do not."""

import pytest
import torch
from support import conv_net, same
from torch import nn

from salreg.attributions import InputGradient
from salreg.sanity import SanityCheck, check


class FirstPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor([-3.0, 3.0]))

    def forward(self, x):
        return self.gain * x[:, 0, :1, 0]


def decided_by_a_place(saliency):
    inputs = torch.rand(8, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    inputs[:, :, 0, 0] = 2
    return check(FirstPlace(), lambda: saliency, FirstPlace(), inputs)


def test_a_map_that_finds_the_place_passes_and_one_that_avoids_it_does_not():
    found = torch.zeros(8, 1, 6, 6)
    found[:, :, 0, 0] = 1
    objection = "deleting what it marks changes the prediction no faster than deleting at random"
    assert objection not in decided_by_a_place(found).objections()
    assert objection in decided_by_a_place(1 - found).objections()


def test_a_map_of_the_input_is_flagged():
    net, x = conv_net(), torch.rand(8, 1, 8, 8)
    assert any("they show the input" in objection for objection in check(net, lambda: x, net, x).objections())
    gradient = check(net, lambda: InputGradient()(net, x), net, x)
    assert not any("they show the input" in objection for objection in gradient.objections())


def test_maps_of_other_places_are_randomised_only():
    net, x = conv_net(), torch.rand(4, 1, 8, 8)
    found = check(net, lambda: torch.rand(4, 1, 6, 6), net, x)
    assert found.similarity
    assert (found.deletion, found.insertion) == ([], [])


def test_the_model_is_as_before():
    net, before, x = conv_net(), conv_net(), torch.rand(4, 1, 8, 8)
    before.load_state_dict(net.state_dict())
    one = check(net, lambda: InputGradient()(net, x), net, x)
    assert same(net, before)
    assert one == check(net, lambda: InputGradient()(net, x), net, x)  # nothing is left to chance


@pytest.mark.parametrize("similarity", [{}, {"fc": float("nan")}])
def test_nothing_found_nothing_objected(similarity):
    assert SanityCheck(similarity).objections() == []
