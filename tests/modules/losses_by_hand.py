"""Losses that people write by hand: what they say of the logits without the name of a known one."""

from typing import Any

import torch
from modules.pattern import Pattern, base, pairs, perceptron
from torch import nn
from torch.nn.functional import cross_entropy, logsigmoid, mse_loss, normalize


def squared_errors_by_hand(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return ((self(x).squeeze(1) - y.float()) ** 2).mean()

    return Module(perceptron(1))


def autoencoder_by_hand(package: Any) -> Any:
    """The target is the batch's own input, on part of its pixels."""

    class Module(base(package)):
        def loss(self, batch):
            x, _ = batch
            made, kept = self(x).view_as(x), (x > 0.5).float()
            return ((made - x) ** 2 * kept).sum() / kept.sum()

    return Module(perceptron(64))


def coral(package: Any) -> Any:
    """Ordinal regression: one number, and two cuts that are compared with whether the label lies above them."""

    class Cuts(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.cuts = perceptron(1), nn.Parameter(torch.tensor([1.0, 0.0]))

        def forward(self, x):
            return self.net(x) + self.cuts

    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            z, above = self(x), (y.unsqueeze(1) > torch.arange(2)).float()
            return -(logsigmoid(z) * above + logsigmoid(-z) * (1 - above)).sum(1).mean()

    return Module(Cuts())


def distances_to_proxies(package: Any) -> Any:
    """Proxy NCA: the logits are distances to parameters that belong to no module."""

    class Module(base(package)):
        def __init__(self):
            super().__init__(perceptron(6))
            self.proxies = nn.Parameter(torch.randn(3, 6))

        def loss(self, batch):
            x, y = batch
            return cross_entropy(_distances(self, x, batch), y)

    return Module()


def classes_and_a_number(package: Any) -> Any:
    """One output, of which a part are classes and another part is a number."""

    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            output = self(x)
            return cross_entropy(output[:, :3], y) + mse_loss(output[:, 3], y.float())

    return Module(perceptron(4))


def classes_and_a_number_apart(package: Any) -> Any:
    class Module(base(package)):
        def __init__(self):
            super().__init__(perceptron(4))
            self.logits = nn.Identity()

        def loss(self, batch):
            x, y = batch
            output = self(x)
            return cross_entropy(self.logits(output[:, :3]), y) + mse_loss(output[:, 3], y.float())

    return Module()


def hard_triplets(package: Any) -> Any:
    """The hardest positive and negative of each sample, by distances within the batch."""

    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            embedding = self(x)
            apart, alike = torch.cdist(embedding, embedding), (y.unsqueeze(1) == y).float()
            return ((apart * alike).amax(1) - (apart + 100 * alike).amin(1) + 0.2).relu().mean()

    return Module(perceptron(6))


def _net(module: Any, x: Any, _: Any) -> Any:
    return module.net(x)


def _distances(module: Any, x: Any, _: Any) -> Any:
    return -(torch.cdist(normalize(module.net(x)), normalize(module.proxies), compute_mode=_BY_PRODUCTS) ** 2)


def _first(module: Any, x: Any, _: Any) -> Any:
    return module.net(x)[:, :3]


_BY_PRODUCTS = "use_mm_for_euclid_dist"  # which have a second derivative
_OF_EMBEDDINGS = {"forward_module": "net", "link": "regression"}

PATTERNS = [
    Pattern(squared_errors_by_hand, pairs(), _net, link="regression"),
    Pattern(autoencoder_by_hand, pairs(), _net, link="regression"),
    Pattern(coral, pairs(), _net, link="sigmoid"),
    Pattern(distances_to_proxies, pairs(), _distances),
    Pattern(
        classes_and_a_number,
        pairs(),
        _first,
        refused="parts of it.*nn.Identity",
        remedy={"make": classes_and_a_number_apart},
        unmeasured="parts of it",
    ),
    Pattern(
        hard_triplets,
        pairs(),
        _net,
        link="regression",
        refused="distances.*link='regression'",
        remedy={"options": _OF_EMBEDDINGS},
        unmeasured="distances",
    ),
]
