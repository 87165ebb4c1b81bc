"""Networks for tables."""

from collections.abc import Sequence

from torch import nn


def build(columns: int, hidden: Sequence[int], classes: int = 2, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers, each hidden one followed by a ReLU and dropout."""
    layers: list[nn.Module] = []
    sizes = [columns, *hidden]
    for before, after in zip(sizes, hidden, strict=False):
        layers += [nn.Linear(before, after), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))
