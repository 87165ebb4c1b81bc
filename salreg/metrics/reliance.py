"""Reliance on the spurious region, as a metric."""

from typing import Any

import torch
from torch import Tensor

from salreg.metrics.functional.reliance import reliance_counts
from salreg.metrics.plottable import Plottable


class Reliance(Plottable):
    """The share of predictions that change when the spurious region is replaced by another sample's.

    Make the replaced inputs with ``salreg.metrics.functional.replace_spurious``.

    Example:
        >>> metric = Reliance()
        >>> metric.update(torch.tensor([1, 0]), torch.tensor([1, 1]), torch.tensor([[-1], [-1]]))
        >>> metric.compute().item()
        0.5
    """

    higher_is_better = False
    changed: Tensor
    counted: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("changed", "counted"):
            self.add_state(name, torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, replaced_predictions: Tensor, annotation: Tensor) -> None:
        """Take in classes ``(B,)`` or logits ``(B, C)``, those after the replacement, and annotations ``(B, ...)``."""
        changed, counted = reliance_counts(predictions, replaced_predictions, annotation)
        self.changed = self.changed + changed
        self.counted = self.counted + counted

    def compute(self) -> Tensor:
        """The share in ``[0, 1]``; NaN where no sample has a spurious mark."""
        return self.changed / self.counted
