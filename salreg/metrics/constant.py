"""A metric for whether a model predicts the same class for all samples."""

from typing import Any

import torch
from torch import Tensor

from salreg.metrics.functional.predictions import predicted_classes
from salreg.metrics.plottable import Plottable

_NEARLY_ALL = 98  # percent
_CLASSES = 4096  # those beyond count as one


class ConstantPredictions(Plottable):
    """1 if a model predicts one class for at least 98% of the samples, while no class has 98% of the labels; else 0.

    Such predictions never change, so reliance says nothing about them. Without labels, the labels are assumed to differ.

    Example:
        >>> metric = ConstantPredictions()
        >>> metric.update(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1]))
        >>> metric.compute().item()
        1.0
    """

    higher_is_better = False
    predicted: Tensor
    labelled: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("predicted", "labelled"):
            self.add_state(name, torch.zeros(_CLASSES, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, target: Tensor | None = None) -> None:
        """Add classes ``(B,)`` or logits ``(B, C)``, ignoring NaN, and true classes ``(B,)``."""
        self.predicted = self.predicted + _counts(predicted_classes(predictions))
        if target is not None:
            self.labelled = self.labelled + _counts(target)

    def compute(self) -> Tensor:
        """1 or 0; NaN without samples."""
        constant = (_is_one_class(self.predicted) & ~_is_one_class(self.labelled)).float()
        return constant.where(self.predicted.sum() > 0, torch.nan)


def _counts(classes: Tensor) -> Tensor:
    return classes[classes >= 0].long().clamp(max=_CLASSES - 1).bincount(minlength=_CLASSES)


def _is_one_class(counts: Tensor) -> Tensor:
    return (100 * counts.max() >= _NEARLY_ALL * counts.sum()) & (counts.sum() > 0)
