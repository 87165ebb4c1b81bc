"""Observing the call of a module; how a user's step is watched is tested in ``test_step_observer.py`` and with the modules."""

import pytest
import torch
from support import conv_net, images
from torch import nn

from salreg.attributions import InputGradient, SmoothGrad
from salreg.taps import Options, find_logits, record


def test_the_call_of_the_named_module_is_observed():
    net = conv_net()
    x = images(2)[0]
    with record(net, Options(forward_module=net)) as recording:
        logits = net(x)
    assert recording.module is net
    assert torch.equal(recording.require_logits(), logits)
    assert recording.floating_input().data_ptr() == x.data_ptr()


def test_observing_without_taps_touches_nothing():
    net, x = conv_net(), images(2)[0]
    with torch.no_grad(), record(net, Options(forward_module=net, tap_input=False)) as recording:
        logits = net(x)
    assert not logits.requires_grad
    assert recording.args[0] is x
    with pytest.raises(RuntimeError, match="only floating point inputs"):
        recording.activation(None)


def test_an_input_that_already_carries_a_graph_keeps_it():
    net, (x, _, _) = conv_net(), images(2)
    x.requires_grad_()
    with record(net, Options(forward_module=net)) as recording:
        net(x * 2)
    assert recording.activation(None).grad_fn is not None


def test_the_callers_tensor_stays_as_it_is_where_the_module_overwrites_its_input():
    class Overwrites(nn.Module):
        def forward(self, x):
            return x.mul_(2).sum((1, 2, 3)).unsqueeze(1)

    x = images(2)[0]
    before = x.clone()
    with record(model := Overwrites(), Options(forward_module=model)) as recording:
        model(x)
    assert torch.equal(x, before)
    assert torch.equal(recording.activation(None), before)


def test_logits_must_be_unambiguous():
    with pytest.raises(ValueError, match="0 candidates"):
        find_logits({"features": "none"})


def test_a_repeated_pass_is_the_same():
    net, x, y = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.rand(5, 3), torch.tensor([0, 1, 0, 1, 0])
    with record(net, Options(forward_module=net)) as recording:
        net(x)
    once = InputGradient("target_logit").explain(recording, y)
    repeated = SmoothGrad("target_logit", samples=1, noise=0.0).explain(recording, y)
    torch.testing.assert_close(repeated, once)
