"""Every penalty is alive: its gradient is right, and reaches every parameter on which it depends."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from benchmarks import catalogue
from benchmarks.catalogue import (
    batch,
    check,
    check_together,
    checked_preset,
    dead_pairs,
    measured,
    needs_second_derivative,
    network,
    pairs,
    passes,
    preset_penalties,
)
from salreg import SaliencyPenalty, attributions, losses, presets
from salreg.attributions import CustomAttribution
from salreg.penalties import ConsistencyPenalty

PRESETS = preset_penalties()
PAIRS = pairs()


@pytest.mark.parametrize("name", PRESETS)
def test_a_presets_gradient_agrees_with_finite_differences_in_every_parameter(name):
    checked = checked_preset(name)
    assert checked.alive, checked


@pytest.mark.parametrize("attribution", attributions.NAMED)
def test_an_attributions_gradient_does_under_every_loss(attribution):
    assert [loss for name, loss, _ in PAIRS if name == attribution] == list(losses.NAMED)
    assert dead_pairs(attribution) == []


@pytest.mark.parametrize("attribution", ["grad_cam", "expected_gradients"])
def test_penalties_that_are_checked_together_are_those_of_each_alone(attribution):
    mine = [penalty for name, _, penalty in PAIRS if name == attribution]
    alone = [measured([penalty], network(), batch()) for penalty in mine]
    assert torch.equal(measured(mine, network(), batch()), torch.cat(alone))


@pytest.mark.parametrize("perturbation", ["noise", "uniform", "shuffle", "swap", "transplant", "pgd"])
def test_every_kind_of_consistency_is_alive(perturbation):
    assert check(ConsistencyPenalty(perturbation), network()).alive


def test_a_gradient_that_misses_a_part_is_found():
    """The check can fail: Grad-CAM with constant weights, as most published code has it."""

    class ConstantWeights(attributions.GradCAM):
        def combine(self, activation, gradient):
            return super().combine(activation, gradient.detach())

    assert check(SaliencyPenalty(attributions.GradCAM("0"), "mse"), network()).alive
    assert not check(SaliencyPenalty(ConstantWeights("0"), "mse"), network()).alive
    constant = ConstantWeights("0")
    together = check_together([SaliencyPenalty(constant, loss) for loss in ("mse", "energy")], network())
    assert [one.alive for one in together] == [False, False]


def test_a_map_whose_gradient_is_lost_is_found():
    def half_detached(model, inputs, target):
        inputs = inputs.clone().requires_grad_()
        logits = model(inputs)
        (gradient,) = torch.autograd.grad(logits.tanh().sum(), inputs, retain_graph=True)
        return gradient * logits.sum(1).view(-1, 1, 1, 1)

    assert not check(SaliencyPenalty(CustomAttribution(half_detached), "rrr"), network()).alive


@pytest.mark.parametrize(
    ("name", "expected"),
    [("rrr", (1, 3)), ("counterexamples", (2, 2)), ("rrr_gradcam", (1, 1)), ("saliency_guided", (2, 3))],
)
def test_passes_are_counted(name, expected):
    """RRR: a forward pass, the map's backward pass, its own backward pass, and the task's."""
    assert passes(deepcopy(PRESETS[name])) == expected


def test_second_derivatives_are_noticed():
    assert needs_second_derivative(deepcopy(PRESETS["rrr"]))
    assert not needs_second_derivative(deepcopy(PRESETS["cdep"]))
    assert not needs_second_derivative(SaliencyPenalty("occlusion", "rrr"))


@pytest.mark.parametrize("name", PRESETS)
def test_thirty_steps_on_the_penalty_alone_reduce_it(name):
    penalty, (x, y, marks) = presets.resolve(name), batch()
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 3)
    ).double()  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    values = []
    for _ in range(30):
        with penalty.watch(model) as watch:
            model(x)
        value = watch.penalty(y, marks)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert sum(values[-5:]) < 0.9 * sum(values[:5]), values


def test_the_page_is_up_to_date():
    """Run ``python -m benchmarks.catalogue`` after a change of presets, attributions or losses."""
    assert catalogue.PAGE.read_text("utf-8") == catalogue.page()


def test_a_map_that_was_switched_off_is_undefined_and_not_a_success():
    """The way out of a penalty on a normalised, non-negative map: after a few steps the map is zero everywhere."""
    torch.manual_seed(1)
    model, (x, y, marks) = catalogue.ConvNet(nn.ReLU).double(), batch()
    model[2].weight.data, model[2].bias.data = -model[2].weight.data.abs(), -torch.ones(4).double()  # no activation is left
    penalty = SaliencyPenalty(attributions.GradCAM("3"), losses.RightForRightReasons("max"))
    with penalty.watch(model) as watch:
        model(x)
    measured = penalty.measure(watch.recording, y, marks)
    assert (measured.scored, measured.undefined) == (0, 5)


def test_every_preset_says_where_it_comes_from():
    for name, preset in presets.NAMED.items():
        assert any(year in (preset.__doc__ or "").split("\n")[0] for year in map(str, range(2015, 2027))), name
        assert "Example:" in preset.__doc__
