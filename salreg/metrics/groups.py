"""Accuracy by group, as a metric."""

from typing import Any

import torch
from torch import Tensor

from salreg import checks
from salreg.metrics.functional.groups import group_counts, worst
from salreg.metrics.plottable import Plottable


class WorstGroupAccuracy(Plottable):
    """The accuracy of the group that a model is worst on.

    Args:
        groups: The number of groups.

    Example:
        >>> metric = WorstGroupAccuracy(groups=2)
        >>> metric.update(torch.tensor([1, 0, 1]), torch.tensor([1, 1, 1]), torch.tensor([0, 0, 1]))
        >>> metric.compute().item()
        0.5
    """

    higher_is_better = True
    correct: Tensor
    total: Tensor

    def __init__(self, groups: int, **kwargs: Any) -> None:
        checks.whole(1, groups=groups)
        super().__init__(**kwargs)
        self.groups = groups
        for name in ("correct", "total"):
            self.add_state(name, torch.zeros(groups), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor, group: Tensor) -> None:
        """Add classes ``(B,)`` or logits ``(B, C)``, true classes ``(B,)`` and groups ``(B,)``."""
        correct, total = group_counts(predictions, target, group, self.groups)
        self.correct = self.correct + correct
        self.total = self.total + total

    def compute(self) -> Tensor:
        """The worst accuracy among groups with samples, in ``[0, 1]``; NaN without samples."""
        return worst(self.correct, self.total)
