"""The region's attribution along a path is the change of the score, whatever lies between."""

import pytest
import torch
from support import conv_net, images
from torch import nn
from torch.nn.functional import log_softmax

from salreg.interventions import Intervention
from salreg.penalties import RegionPath

X, Y, MARKS = images(12)
MARKED = MARKS.flatten(1).any(1)


def penalty_of(model, x=X, marks=MARKS, target=Y, **options):
    with RegionPath(**options).watch(model) as watch:
        model(x)
    return watch.penalty(target, marks)


@pytest.mark.parametrize("presence", [0.0, 0.5, 1.0])
def test_the_difference_of_the_log_probabilities_over_the_marked_samples(presence):
    model = conv_net()
    other = Intervention(presence)(X, MARKS).sample
    difference = log_softmax(model(X), 1) - log_softmax(model(other), 1)
    by_hand = difference.square().mean(1)[MARKED].mean()
    assert torch.allclose(penalty_of(model, presence=presence), by_hand, rtol=1e-5)


def test_it_is_the_integrated_gradient_of_the_region():
    """In double precision, by a sum over 512 points of the path."""
    model, x = conv_net(smooth=True).double(), X.double()
    other = Intervention(1.0)(x, MARKS).sample
    total = torch.zeros(12, 3, dtype=torch.double)
    for step in range(512):
        point = (other + (step + 0.5) / 512 * (x - other)).requires_grad_()
        scores = log_softmax(model(point), 1)
        for label in range(3):
            gradient = torch.autograd.grad(scores[:, label].sum(), point, retain_graph=True)[0]
            total[:, label] += ((x - other) * gradient).flatten(1).sum(1) / 512
    by_path = total.square().mean(1)[MARKED].mean()
    assert torch.allclose(penalty_of(model, x, presence=1.0), by_path, rtol=1e-5)


def test_it_sees_a_saturated_shortcut_where_the_gradient_sees_none():
    class Saturated(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(60.0))

        def forward(self, x):
            told = torch.tanh(self.weight * (x[:, 0, 0, 0] - 0.5))
            return torch.stack([told, -told, torch.zeros_like(told)], 1)

    x = X.clone()
    x[:, :, :3, :3] = (torch.arange(12) % 2).view(-1, 1, 1, 1).float()
    leaf = x.clone().requires_grad_()
    model = Saturated()
    gradient = torch.autograd.grad(log_softmax(model(leaf), 1).sum(), leaf)[0]
    assert gradient.abs().max() < 1e-9
    assert penalty_of(model, x, presence=1.0) > 0.1


def test_labels_that_may_be_several_have_a_sigmoid_each():
    model, several = conv_net(), torch.randint(2, (12, 3))
    other = Intervention(1.0)(X, MARKS).sample
    logits, changed = model(X), model(other)
    both = [torch.cat([nn.functional.logsigmoid(z), nn.functional.logsigmoid(-z)], 1) for z in (logits, changed)]
    by_hand = (both[0] - both[1]).square().mean(1)[MARKED].mean()
    assert torch.allclose(penalty_of(model, target=several, presence=1.0), by_hand, rtol=1e-5)
