"""A metric of reliance on the spurious feature."""

from typing import Any

import torch
from torch import Tensor

from salreg.metrics.functional.reliance import reliance_counts
from salreg.metrics.plottable import Plottable


class Reliance(Plottable):
    """The share of predictions that change when the spurious feature is exchanged, removed or inserted.

    ``salreg.interventions.Intervention.with_presence`` creates such samples and says which ones count.

    Example:
        >>> metric = Reliance()
        >>> metric.update(torch.tensor([1, 0, 0]), torch.tensor([1, 1, 1]), torch.tensor([True, True, False]))
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

    def update(self, predictions: Tensor, changed_predictions: Tensor, counted: Tensor) -> None:
        """Add classes ``(B,)`` or logits ``(B, C)``, those of the changed samples, and which samples count ``(B,)``."""
        changed, counted = reliance_counts(predictions, changed_predictions, counted)
        self.changed = self.changed + changed
        self.counted = self.counted + counted

    def compute(self) -> Tensor:
        """The share in ``[0, 1]``; NaN if no sample counts, or if the logits of one that counts are NaN."""
        return self.changed / self.counted
