"""Reliance, measured by behaviour rather than maps: do predictions change when the spurious feature does?"""

import torch
from torch import Tensor

from salreg.metrics.functional.predictions import NO_CLASS, predicted_classes


def reliance(predictions: Tensor, changed_predictions: Tensor, counted: Tensor | None = None) -> Tensor:
    """The share of predictions that change when the spurious feature is exchanged, removed or inserted.

    ``salreg.interventions.Intervention.with_presence`` creates such samples and says which ones count.

    Args:
        predictions: Classes ``(B,)`` or logits ``(B, C)``.
        changed_predictions: The same for the changed samples.
        counted: The samples that count, booleans ``(B,)``; all by default.

    Returns:
        Scalar in ``[0, 1]``; NaN if no sample counts, or if the logits of one that counts are NaN.

    Raises:
        ValueError: The tensors differ in length.

    Example:
        >>> reliance(torch.tensor([1, 0, 0]), torch.tensor([1, 1, 1]), torch.tensor([True, True, False])).item()
        0.5
    """
    counted = torch.ones(len(predictions), dtype=torch.bool) if counted is None else counted
    changed, count = reliance_counts(predictions, changed_predictions, counted)
    return changed / count


def reliance_counts(predictions: Tensor, changed_predictions: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """How many predictions changed, NaN if one of them is none, and how many count."""
    before, after = predicted_classes(predictions), predicted_classes(changed_predictions)
    if not before.shape == after.shape == counted.shape:
        raise ValueError(
            f"{tuple(before.shape)} predictions, {tuple(after.shape)} of the changed samples and "
            f"{tuple(counted.shape)} that say which ones count must have one entry per sample."
        )
    unknown = (before == NO_CLASS) | (after == NO_CLASS)
    changed = (before != after).float().masked_fill(unknown, torch.nan)
    counted = counted.to(changed.device)
    return changed.where(counted, 0).sum(), counted.sum().float()
