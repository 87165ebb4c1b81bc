"""Cascading randomisation of the parameters (Adebayo et al. 2018)."""

import pytest
import torch
from support import conv_net, same
from torch import nn

from salreg.attributions import InputGradient
from salreg.sanity import parameter_randomisation


def test_a_map_of_the_input_stays_and_a_map_of_the_model_goes():
    net, x = conv_net(), torch.rand(4, 1, 8, 8)
    of_input = parameter_randomisation(net, lambda: x)
    of_model = parameter_randomisation(net, lambda: InputGradient()(net, x))
    assert list(of_input) == list(of_model) == ["5", "2", "0"]  # from the output to the input
    assert set(of_input.values()) == {1.0}
    assert of_model["0"] < 0.5


def test_it_is_a_shuffle_of_the_layers_one_after_the_other():
    net = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4))
    seen = []

    def explain():
        seen.append([parameter.detach().clone() for parameter in net.parameters()])
        return torch.rand(2, 6)

    parameter_randomisation(net, explain)
    before, last_layer, both = seen
    assert [torch.equal(a, b) for a, b in zip(before, last_layer, strict=True)] == [True, True, False, False]
    assert not torch.equal(before[0], both[0])
    for a, b in zip(before, both, strict=True):
        assert torch.equal(a.flatten().sort().values, b.flatten().sort().values)


def test_many_layers_are_taken_in_groups():
    net = nn.Sequential(*[nn.Linear(3, 3) for _ in range(20)])
    assert len(parameter_randomisation(net, lambda: torch.rand(2, 3), stages=4)) == 4


def test_the_parameters_are_as_before_even_after_an_error():
    net, before = conv_net(), conv_net()
    before.load_state_dict(net.state_dict())
    maps = iter([torch.rand(2, 1, 8, 8)] * 2)
    with pytest.raises(StopIteration):
        parameter_randomisation(net, lambda: next(maps))
    assert same(net, before)
