"""Maps of the user's own, and Captum's."""

import pytest
import torch
from captum.attr import InputXGradient, IntegratedGradients, LayerGradCam, Saliency
from support import Lit, conv_net, fit, fresh, images, loader, regularizer

from salreg import SaliencyPenalty
from salreg.attributions import CaptumAttribution, CustomAttribution, InputTimesGradient, resolve
from salreg.callbacks import SaliencyMetrics

X, Y, MARKS = images(6)


def input_gradient(model, inputs, target):
    inputs = inputs.detach().clone().requires_grad_()
    score = model(inputs).gather(1, target.view(-1, 1)).sum()
    return torch.autograd.grad(score, inputs, create_graph=True)[0]


def measured(attribution, model):
    penalty = SaliencyPenalty(attribution, "rrr")
    with penalty.watch(model) as watch:
        model(X)
    return watch.penalty(Y, MARKS)


def test_any_function_is_an_attribution():
    model = conv_net(smooth=True)
    assert isinstance(resolve(input_gradient), CustomAttribution)
    ours = resolve("input_times_gradient")(model, X, Y)
    torch.testing.assert_close(resolve(lambda *a: X * input_gradient(*a))(model, X, Y), ours)


def test_it_trains_when_its_map_carries_a_gradient():
    model = conv_net(smooth=True)
    own, built_in = measured(lambda *a: X * input_gradient(*a), model), measured(InputTimesGradient(), model)
    torch.testing.assert_close(own, built_in)
    for one, other in zip(
        torch.autograd.grad(own, list(model.parameters()), allow_unused=True),
        torch.autograd.grad(built_in, list(model.parameters()), allow_unused=True),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_it_serves_in_the_callback():
    used = fit(fresh(Lit, conv_net(smooth=True)), regularizer(attribution=input_gradient))
    assert used.callback_metrics["salreg/penalty"] > 0


def test_a_map_without_a_gradient_is_refused_inside_a_penalty():
    def detached(model, inputs, target):
        return input_gradient(model, inputs, target).detach()

    assert resolve(detached)(conv_net(), X, Y).shape == X.shape
    with pytest.raises(RuntimeError, match="The map of detached carries no gradient.*create_graph=True"):
        measured(detached, conv_net())


def test_what_is_not_a_map_is_named():
    with pytest.raises(TypeError, match="numbers returned list; a map must be a tensor"):
        resolve(numbers)(conv_net(), X, Y)


def numbers(model, inputs, target):
    return [1.0]


def test_captums_maps_for_pictures_and_numbers():
    model = conv_net()
    captum = IntegratedGradients(model)
    torch.testing.assert_close(
        CaptumAttribution(captum, n_steps=7)(model, X, Y), captum.attribute(X, target=Y, n_steps=7).detach().float()
    )
    module = fresh()
    used = fit(module, SaliencyMetrics(CaptumAttribution(Saliency(module))), val=loader())
    assert 0 < used.callback_metrics["val/spurious_saliency"] < 1


@pytest.mark.parametrize("make", [Saliency, InputXGradient, lambda model: LayerGradCam(model, model[2])])
def test_captums_maps_are_refused_inside_a_penalty(make):
    """Saliency's carries no gradient, InputXGradient's one of exactly 0, LayerGradCam's an incomplete one."""
    model = conv_net(smooth=True)
    with pytest.raises(RuntimeError, match=r"The map of Captum's .* carries no complete gradient"):
        measured(CaptumAttribution(make(model)), model)


def test_captum_with_a_differentiable_gradient_function_is_let_in():
    model = conv_net(smooth=True)
    captum = InputXGradient(model)

    def gradients(forward, inputs, target_ind=None, additional_forward_args=None):
        score = forward(*inputs).gather(1, target_ind.view(-1, 1)).sum()
        return torch.autograd.grad(score, inputs, create_graph=True)

    captum.gradient_func = gradients
    torch.testing.assert_close(measured(CaptumAttribution(captum), model), measured(InputTimesGradient(), model))
