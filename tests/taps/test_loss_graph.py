"""What the graph behind a loss says of how it reads the logits."""

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Normal
from torch.nn.functional import (
    cross_entropy,
    gaussian_nll_loss,
    log_softmax,
    mse_loss,
    one_hot,
    poisson_nll_loss,
    softplus,
    triplet_margin_loss,
)

from salreg.taps.loss_graph import link_of, reads_fewer

_Y = torch.arange(6) % 3
_NUMBERS, _LABELS = torch.linspace(0, 1, 18).view(6, 3), one_hot(_Y, 3).float()


def _quantiles(z: Tensor) -> Tensor:
    below, quantile = _Y.unsqueeze(1) - z, torch.tensor([0.1, 0.5, 0.9])
    return torch.maximum(quantile * below, (quantile - 1) * below).mean()


def _coral(z: Tensor) -> Tensor:
    return -(z.sigmoid().log() * _LABELS + (1 - z.sigmoid()).log() * (1 - _LABELS)).mean()


def _stable_softmax(z: Tensor) -> Tensor:
    z = z - z.max(1, keepdim=True).values.detach()
    return -(z.gather(1, _Y.unsqueeze(1)).squeeze(1) - z.exp().sum(1).log()).mean()


@pytest.mark.parametrize(
    ("loss", "link"),
    [
        (lambda z: cross_entropy(z, _Y), "softmax"),
        (lambda z: -log_softmax(z, 1).gather(1, _Y.unsqueeze(1)).mean(), "softmax"),
        (lambda z: (z.logsumexp(1) - (z * _LABELS).sum(1)).mean(), "softmax"),
        (lambda z: -Categorical(logits=z).log_prob(_Y).mean(), "softmax"),
        (lambda z: (softplus(z) - z * _LABELS).mean(), "sigmoid"),
        (_coral, "sigmoid"),
        (lambda z: -Bernoulli(logits=z).log_prob(_LABELS).mean(), "sigmoid"),
        (lambda z: 1 - (2 * (z.sigmoid() * _LABELS).sum() + 1) / (z.sigmoid().sum() + 7), "sigmoid"),
        (lambda z: mse_loss(z, _NUMBERS), "regression"),
        (lambda z: ((z - _NUMBERS) ** 2).mean(), "regression"),
        (lambda z: torch.log(torch.cosh(_NUMBERS - z)).mean(), "regression"),
        (lambda z: -Normal(z, 1.0).log_prob(_NUMBERS).mean(), "regression"),
        (lambda z: gaussian_nll_loss(z[:, 0], _Y.float(), z[:, 1].exp()), "regression"),
        (_quantiles, "regression"),
        (_stable_softmax, None),
        (lambda z: ((z.sigmoid() - _NUMBERS) ** 2).mean(), None),
        (lambda z: poisson_nll_loss(z, _NUMBERS), None),
        (lambda z: triplet_margin_loss(z, z.roll(1, 0), z.roll(2, 0)), None),
        (lambda z: (1 - (2 * _LABELS - 1) * z).relu().mean(), None),
    ],
)
def test_the_loss_tells_how_it_reads_the_logits_or_that_it_cannot_be_told(loss, link):
    logits = nn.Linear(3, 3)(torch.eye(6, 3))
    assert link_of(loss(logits), logits) == link


def test_an_input_that_is_tapped_is_a_target_as_well_as_one_that_is_not():
    pixels = torch.rand(6, 3, requires_grad=True)
    made = nn.Linear(3, 3)(pixels)
    assert link_of(((made - pixels) ** 2).mean(), made) == "regression"


def test_a_softmax_over_another_number_of_classes_is_of_other_numbers():
    output = nn.Linear(3, 5)(torch.eye(6, 3))
    assert reads_fewer(cross_entropy(output[:, :3], _Y) + mse_loss(output[:, 3], _Y.float()), output)
    assert not reads_fewer(cross_entropy(output, _Y), output)
