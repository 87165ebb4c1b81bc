"""Tables: rows of numbers with named columns."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from salreg.data import AnnotatedDataset


class Table(TensorDataset):
    """Samples ``(row (F,), label, group)``.

    Args:
        rows: ``(N, F)``.
        labels: ``(N,)``.
        groups: ``(N,)``.
        columns: What the columns are called, which snapshots draw.
        classes: What the labels are called.
    """

    def __init__(self, rows: Tensor, labels: Tensor, groups: Tensor, columns: Sequence[str], classes: Sequence[str]) -> None:
        super().__init__(rows, labels, groups)
        self.columns, self.classes = list(columns), list(classes)


def loader(table: Table, annotation: Tensor, data: Any, shuffle: bool = False) -> DataLoader[Any]:
    """Batches with the same annotation ``(F,)`` for every row."""
    dataset = AnnotatedDataset(table, annotation.expand(len(table), -1))
    return DataLoader(dataset, data.batch_size, shuffle=shuffle, num_workers=data.workers)


def standardised(rows: Tensor, like: Tensor) -> Tensor:
    """Columns less their mean over ``like``, over its standard deviation; columns that do not vary there become 0."""
    deviation = like.std(0, correction=0)
    return torch.where(deviation > 0, (rows - like.mean(0)) / deviation.clamp(min=1e-12), torch.zeros_like(rows))


def network(columns: int, hidden: Sequence[int], classes: int = 2, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers with ReLUs and, behind each, Dropout."""
    layers: list[nn.Module] = []
    sizes = [columns, *hidden]
    for before, after in zip(sizes, hidden, strict=False):
        layers += [nn.Linear(before, after), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))
