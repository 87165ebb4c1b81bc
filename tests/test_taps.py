"""Observing a forward pass; how Lightning modules are searched is tested with the callbacks."""

import pytest
import torch
from support import conv_net, images
from torch import nn

from salreg.attributions import InputGradient, SmoothGrad
from salreg.taps import find_logits, record, replace_tensor, tensors_in


def test_the_outermost_module_that_receives_a_tensor_of_the_batch_is_observed():
    net = torch.nn.Sequential(conv_net())
    x, y, _ = images(2)
    with record(net, batch=(x, y)) as recording:
        logits = net(x)
    assert recording.module is net
    assert torch.equal(recording.require_logits(), logits)
    assert recording.input_index() == 0


def test_observing_without_taps_touches_nothing():
    net, (x, y, _) = conv_net(), images(2)
    with torch.no_grad(), record(net, batch=(x, y), tap_input=False) as recording:
        logits = net(x)
    assert not logits.requires_grad
    assert recording.args[0] is x
    with pytest.raises(RuntimeError, match="only floating point inputs"):
        recording.activation(None)


def test_observing_without_taps_reports_instead_of_raising():
    first, second = conv_net(), conv_net()
    both = torch.nn.ModuleList([first, second])
    x, y, _ = images(2)
    with record(both, batch=(x, y), tap_input=False) as recording:
        first(x)
        second(x)
    assert "Two candidates" in recording.problem


def test_an_input_that_already_carries_a_graph_keeps_it():
    net, (x, _, _) = conv_net(), images(2)
    x.requires_grad_()
    with record(net, forward_module=net) as recording:
        net(x * 2)
    assert recording.activation(None).grad_fn is not None


def test_tensors_are_found_in_nested_collections_in_order():
    a, b, c = torch.zeros(1), torch.ones(1), torch.ones(2)
    found = tensors_in({"x": [a, "text"], "y": (b, {"z": c}), "n": 3})
    assert [id(t) for t in found] == [id(a), id(b), id(c)]


def test_a_tensor_is_replaced_by_identity_not_value():
    a, b = torch.zeros(1), torch.zeros(1)
    new = torch.ones(1)
    assert replace_tensor(([a], {"k": b}), b, new) == ([a], {"k": new})


def test_logits_must_be_unambiguous():
    with pytest.raises(ValueError, match="0 candidates"):
        find_logits({"features": "none"})


def test_a_repeated_pass_reads_the_input_where_the_recorded_one_did():
    """Also where the module that gives the logits is an inner one, which receives something else."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))

        def forward(self, x):
            return self.net(2 * x)

    model, x, y = Scaled(), torch.rand(5, 3), torch.tensor([0, 1, 0, 1, 0])
    with record(model, batch=[x], forward_module=model.net) as recording:
        model(x)
    once = InputGradient("target_logit").explain(recording, y)
    repeated = SmoothGrad("target_logit", samples=1, noise=0.0).explain(recording, y)
    torch.testing.assert_close(repeated, once)
