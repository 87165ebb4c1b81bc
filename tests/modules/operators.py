"""Modules with inputs and operators that leave no way to a second derivative, and what to write in their place."""

from typing import Any

import torch
from modules.pattern import CLASSES, Data, Pattern, base, images, pairs
from torch import nn
from torch.nn.functional import cross_entropy


class FeatureEncoder(nn.Module):
    """As wav2vec2's: asks for gradients at what it gets while it trains, so that a checkpoint has some to take."""

    def __init__(self, asks: bool) -> None:
        super().__init__()
        self.body, self.asks = nn.Sequential(nn.Flatten(1), nn.Linear(64, 8), nn.Tanh()), asks

    def forward(self, x):
        hidden = x[:, 0]
        if self.asks and self.training:
            hidden.requires_grad = True
        return self.body(hidden)


def flags_of_leaves(package: Any, asks: bool = True) -> Any:
    return base(package)(nn.Sequential(FeatureEncoder(asks), nn.Linear(8, CLASSES)))


def flags_left_out(package: Any) -> Any:
    return flags_of_leaves(package, asks=False)


class Prototypes(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU())
        self.prototypes, self.options = nn.Parameter(torch.randn(CLASSES, 8)), options

    def forward(self, x):
        return -torch.cdist(self.body(x), self.prototypes, **self.options)


def distances(package: Any) -> Any:
    return base(package)(Prototypes())


def distances_by_products(package: Any) -> Any:
    return base(package)(Prototypes(compute_mode="use_mm_for_euclid_dist"))


def complex_signals(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self.net(x.abs() + x.real), y)

    return Module()


def parts_of_complex_signals(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(_of_parts(self, x, batch), y)

    return Module()


def _of_parts(module: Any, x: Any, _: Any) -> Any:
    x = torch.complex(*x.chunk(2, dim=1))
    return module.net(x.abs() + x.real)


def _signals(as_parts: bool) -> Data:
    x, y, annotations = images()
    signals = torch.polar(x + 0.1, x.flip(0))
    given = torch.cat([signals.real, signals.imag], 1) if as_parts else signals
    return Data(list(zip(given, y, strict=True)), annotations)


def _net(module: Any, x: Any, _: Any) -> Any:
    return module.net(x)


PATTERNS = [
    Pattern(
        flags_of_leaves,
        pairs(),
        _net,
        refused="freeze_feature_encoder",
        remedy={"make": flags_left_out},
    ),
    Pattern(
        distances,
        pairs(),
        _net,
        refused="compute_mode='use_mm_for_euclid_dist'",
        remedy={"make": distances_by_products},
    ),
    Pattern(
        complex_signals,
        _signals(as_parts=False),
        refused=r"The input is complex .*torch.cat\(\[x.real, x.imag\]\)",
        remedy={"make": parts_of_complex_signals, "data": _signals(as_parts=True), "sees": _of_parts, "unmeasured": ""},
        unmeasured="The input is complex",
    ),
]
