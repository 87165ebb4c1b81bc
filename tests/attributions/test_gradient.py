"""Closed forms on a linear softmax model z = W x: everything is known there."""

import pytest
import torch
from captum.attr import InputXGradient, Saliency
from support import conv_net, images
from torch import nn

from salreg.attributions import GradCAM, InputGradient, resolve


@pytest.fixture
def linear():
    return nn.Linear(5, 3, bias=False).double()


X = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 1])


def test_sum_of_log_probabilities(linear):
    """d/dx sum_k log p_k = sum_k w_k - C sum_k p_k w_k."""
    w, p = linear.weight, linear(X).softmax(1)
    expected = w.sum(0) - 3 * p @ w
    assert torch.allclose(InputGradient()(linear, X), expected)


def test_target_and_predicted_logit(linear):
    assert torch.allclose(InputGradient("target_logit")(linear, X, Y), linear.weight[Y])
    assert torch.allclose(InputGradient("predicted_logit")(linear, X), linear.weight[linear(X).argmax(1)])


def test_task_loss(linear):
    """d/dx CE = sum_k (p_k - [k = y]) w_k."""
    residual = linear(X).softmax(1) - torch.nn.functional.one_hot(Y, 3)
    assert torch.allclose(InputGradient("task_loss")(linear, X, Y), residual @ linear.weight)


def test_times_input(linear):
    assert torch.allclose(InputGradient("target_logit", times_input=True)(linear, X, Y), X * linear.weight[Y])


def test_values_agree_with_captum_on_a_conv_net():
    net = conv_net()
    x, y, _ = images(6)
    ours = InputGradient("target_logit")(net, x, y)
    assert torch.allclose(ours, Saliency(net).attribute(x, y, abs=False), rtol=1e-5)
    ours = InputGradient("target_logit", times_input=True)(net, x, y)
    assert torch.allclose(ours, InputXGradient(net).attribute(x, y), rtol=1e-5)


def test_calling_leaves_no_trace(linear):
    """Neither a gradient, nor a hook, nor a mode, nor a mark on the caller's tensor."""
    x = X.clone()
    linear.weight.grad = torch.ones_like(linear.weight)
    InputGradient()(linear, x)
    assert not x.requires_grad
    assert torch.equal(linear.weight.grad, torch.ones_like(linear.weight))
    assert not linear._forward_hooks
    assert not linear._forward_pre_hooks
    assert linear.training


def test_hooks_are_removed_after_an_error():
    class Broken(nn.Linear):
        def forward(self, x):
            raise KeyError("inside")

    model = Broken(5, 3)
    with pytest.raises(KeyError, match="inside"):
        InputGradient()(model, torch.zeros(2, 5))
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_works_where_gradients_are_switched_off(linear, context):
    expected = InputGradient()(linear, X)
    with context():
        assert torch.equal(InputGradient()(linear, X.clone()), expected)


def test_frozen_models_can_be_explained(linear):
    linear.requires_grad_(False)
    assert InputGradient()(linear, X).abs().sum() > 0


def test_an_in_place_model_gives_the_gradient_at_its_input():
    relu_first = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(5, 3, bias=False)).double()
    x = X.clone()
    gradient = InputGradient("target_logit")(relu_first, x, Y)
    assert torch.allclose(gradient, relu_first[1].weight[Y] * (X > 0))
    assert torch.equal(x, X)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda z: {"logits": z, "features": z.detach().new_zeros(1)},
        lambda z: type("Output", (), {"logits": z})(),
        lambda z: (z, [1, 2]),
        lambda z: [z],
    ],
    ids=["dict", "object", "tuple", "list"],
)
def test_logits_are_found_in_the_output(linear, wrap):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = linear

        def forward(self, x):
            return wrap(self.linear(x))

    assert torch.allclose(InputGradient("target_logit")(Wrapped(), X, Y), linear.weight[Y])


def test_two_candidates_for_the_logits_are_an_error(linear):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = linear

        def forward(self, x):
            return self.linear(x), x * 2

    with pytest.raises(ValueError, match="2 candidates for the logits in the output"):
        InputGradient()(Two(), X)


def test_keyword_and_several_positional_arguments():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(5, 3)

        def forward(self, x, scale=1.0):
            return self.linear(x) * scale

    model = Two().double()
    once = InputGradient("target_logit")(model, X, Y)
    assert torch.allclose(InputGradient("target_logit")(model, {"x": X, "scale": 2.0}, Y), 2 * once)
    assert torch.allclose(InputGradient("target_logit")(model, (X, 3.0), Y), 3 * once)


def test_integer_inputs_are_refused_with_the_remedy():
    class Converting(nn.Linear):
        def forward(self, x):
            return super().forward(x.float())

    with pytest.raises(RuntimeError, match=r"received torch.int64: only floating point inputs.*embedding='...'.*at a layer"):
        InputGradient()(Converting(2, 3), torch.tensor([[1, 2]]))


def test_detached_logits_are_an_error():
    class Detached(nn.Linear):
        def forward(self, x):
            return super().forward(x).detach()

    with pytest.raises(RuntimeError, match="carries no gradient"):
        InputGradient()(Detached(5, 3), torch.zeros(2, 5))


def test_attributions_by_name():
    assert isinstance(resolve("input_gradient"), InputGradient)
    with pytest.raises(ValueError, match="did you mean 'input_gradient'"):
        resolve("input_gradients")
    assert isinstance(resolve("grad_cam"), GradCAM)
