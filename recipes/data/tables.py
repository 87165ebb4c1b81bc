"""Tables: rows of numbers with named columns."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from salreg.annotations import ColumnGroups
from salreg.data import AnnotatedDataset


class Table(TensorDataset):
    """Samples ``(row (F,), label, group)``.

    Args:
        rows: ``(N, F)``.
        labels: ``(N,)``.
        groups: ``(N,)``.
        columns: The names of the columns; snapshots show them.
        classes: The names of the labels.
        features: Lists of columns that form one feature, such as a one-hot code, by the feature's name.
    """

    def __init__(
        self,
        rows: Tensor,
        labels: Tensor,
        groups: Tensor,
        columns: Sequence[str],
        classes: Sequence[str],
        features: ColumnGroups | None = None,
    ) -> None:
        super().__init__(rows, labels, groups)
        self.columns, self.classes = list(columns), list(classes)
        self.features = dict(features or {})


def annotated(table: Table, annotation: Tensor) -> AnnotatedDataset:
    """The table with the same annotation ``(F,)`` for every row."""
    return AnnotatedDataset(table, annotation.expand(len(table), -1))


def standardised(rows: Tensor, like: Tensor) -> Tensor:
    """Columns with mean 0 and standard deviation 1 over ``like``; columns that do not vary there become 0."""
    deviation = like.std(0, correction=0)
    return torch.where(deviation > 0, (rows - like.mean(0)) / deviation.clamp(min=1e-12), torch.zeros_like(rows))
