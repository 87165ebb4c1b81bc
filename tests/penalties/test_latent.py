"""Penalties inside the network, against their formulas."""

import copy

import pytest
import torch
from support import conv_net, images
from torch import nn

from salreg.interventions.replacements import replace
from salreg.penalties import ActivationDifference, ConceptPenalty

X, Y, MARKS = images(6)
ANNOTATED = [1, 2, 4, 5]


def value(penalty, model, marks=MARKS):
    with penalty.watch(model) as watch:
        model(X)
    return watch.penalty(Y, marks)


def test_activation_difference_is_the_distance_to_the_shuffled_sample():
    model, penalty = conv_net(), ActivationDifference(["0", "2"])
    shuffled = replace(X, MARKS.abs(), "shuffle", copy.deepcopy(penalty.rng))
    expected = 0
    for depth in (1, 3):
        difference = (model[:depth](X) - model[:depth](shuffled))[ANNOTATED].flatten(1)
        expected = expected + difference.norm(dim=1) / difference.shape[1] ** 0.5
    torch.testing.assert_close(value(penalty, model), expected.mean())


def test_equal_activations_have_distance_0_and_a_finite_gradient():
    model = conv_net()
    model[0].weight.data.zero_()
    loss = value(ActivationDifference("0"), model)
    assert loss == 0
    loss.backward()
    assert model[0].weight.grad.isfinite().all()


def test_by_default_it_reads_the_last_convolution():
    model = conv_net()
    assert torch.equal(value(ActivationDifference(), model), value(ActivationDifference("2"), model))
    with pytest.raises(ValueError, match="no convolution to read saliency at; name a layer"):
        value(ActivationDifference(), nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))


def test_concept_penalty_along_a_given_direction():
    model, direction = conv_net(smooth=True), torch.tensor([3.0, 0.0, -4.0, 0.0])
    activation = model[:3](X)
    (gradient,) = torch.autograd.grad(model[3:](activation).gather(1, Y.view(-1, 1)).sum(), activation)
    along = (gradient[ANNOTATED] * (direction / 5).view(1, -1, 1, 1)).sum(1)
    torch.testing.assert_close(value(ConceptPenalty("2", direction), model), along.square().mean())


def test_the_direction_is_estimated_from_samples_with_their_region_swapped():
    model, penalty = conv_net(smooth=True), ConceptPenalty("2")
    swapped = replace(X, MARKS.abs(), "swap", copy.deepcopy(penalty.rng))
    step = (model[:3](X) - model[:3](swapped))[ANNOTATED].sum((2, 3)).mean(0).detach()
    given = ConceptPenalty("2", step)
    torch.testing.assert_close(value(penalty, model), value(given, model) * step.square().sum())


def test_the_estimate_runs_on_and_is_in_the_checkpoint():
    model, penalty = conv_net(), ConceptPenalty("2")
    first = value(penalty, model)
    state = copy.deepcopy(penalty.state_dict())
    second = value(penalty, model)
    assert first != second
    resumed = ConceptPenalty("2")
    resumed.load_state_dict(state)
    assert torch.equal(value(resumed, model), second)


def test_a_layer_of_units_and_a_direction_that_does_not_fit():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Tanh(), nn.Linear(5, 3))
    assert value(ConceptPenalty("1"), model) > 0
    with pytest.raises(ValueError, match="direction has 3 channels, but the layer '1' has 5"):
        value(ConceptPenalty("1", [1.0, 0, 0]), model)
