"""A metric of accuracy when the spurious feature tells nothing about the label."""

from typing import Any

import torch
from torch import Tensor

from salreg.metrics.functional.predictions import NO_CLASS, predicted_classes
from salreg.metrics.plottable import Plottable


class AccuracyUnderIntervention(Plottable):
    """The accuracy of a model if content and presence of the spurious feature are drawn independently of the label.

    Nothing is actually drawn: each sample is seen with the feature and without it
    (``salreg.interventions.Intervention.with_presence``), weighted by the probability of either, which comes from the share of
    samples that had it. The result is the mean over all draws.

    Example:
        >>> metric, everybody = AccuracyUnderIntervention(), torch.ones(4, dtype=torch.bool)
        >>> had_it = torch.tensor([True, True, True, False])
        >>> for present, predictions in ((True, torch.tensor([0, 0, 0, 0])), (False, torch.tensor([1, 1, 1, 1]))):
        ...     metric.update(predictions, torch.tensor([0, 0, 0, 1]), present, had_it, everybody, everybody)
        >>> metric.compute().item()  # 3 of 4 are right where the thing is there, 1 of 4 where it is not
        0.625
    """

    higher_is_better = True
    correct: Tensor
    counted: Tensor
    asked: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("correct", "counted", "asked"):  # by what a sample had, and what it has now
            self.add_state(name, torch.zeros(2, 2), dist_reduce_fx="sum")

    def update(
        self, predictions: Tensor, target: Tensor, present: bool, marked: Tensor, looked_at: Tensor, done: Tensor
    ) -> None:
        """Add samples that all have the feature, or all lack it.

        Args:
            predictions: Classes ``(B,)`` or logits ``(B, C)`` of the changed samples.
            target: True classes ``(B,)``.
            present: Whether the samples have it.
            marked: Which samples had it originally, booleans ``(B,)``.
            looked_at: For which samples that is known.
            done: For which samples the change succeeded.
        """
        predictions = predicted_classes(predictions)
        right = (predictions == target).float().masked_fill(predictions == NO_CLASS, torch.nan)
        for had_it, which in enumerate((~marked & looked_at, marked & looked_at)):
            cell = torch.zeros_like(self.counted)
            cell[had_it, int(present)] = 1
            self.correct = self.correct + torch.where(cell > 0, right.where(which & done, 0).sum(), 0)
            self.counted = self.counted + cell * (which & done).sum()
            self.asked = self.asked + cell * which.sum()

    def compute(self) -> Tensor:
        """Scalar in ``[0, 1]``; NaN if logits are NaN, or if it was not measured (see ``is_measured``)."""
        weights = _weights(self.asked)
        accuracy = torch.where(weights > 0, weights * self.correct / self.counted, 0).sum()
        return accuracy.where(self.asked.sum() > 0, torch.nan)

    @staticmethod
    def is_measured(asked: Tensor, counted: Tensor) -> Tensor:
        """Whether some samples had the feature, and every combination that counts has samples."""
        return asked[1].sum().gt(0) & ((_weights(asked) > 0) <= (counted > 0)).all()


def _weights(asked: Tensor) -> Tensor:
    """The joint probability that a sample had the feature and has it now; the two are independent."""
    share = asked.sum(1) / asked.sum()
    return torch.outer(share, share)
