"""Behaviour rather than maps: do predictions change when the spurious region does?"""

import torch
from torch import Tensor

from salreg.annotations import is_annotated, marks
from salreg.metrics.functional.predictions import predicted_classes


def replace_spurious(inputs: Tensor, annotation: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Replace the spurious region of each sample by the same place of another sample of the batch.

    Args:
        inputs: ``(B, ...)``, at least two samples.
        annotation: Laid out like the inputs, one channel is enough. Soft marks mix the two samples.
        generator: A CPU generator to draw the partners from; the global one by default.

    Returns:
        A tensor like ``inputs``. No sample is its own partner.

    Raises:
        ValueError: One sample only: there is no other to take the region from.
    """
    size = len(inputs)
    if size < 2:
        raise ValueError("The spurious region is replaced by another sample's, but the batch has one sample only.")
    order = torch.randperm(size, generator=generator)
    partner = torch.empty_like(order)
    partner[order] = order.roll(1)
    weight = marks(annotation.to(inputs)).spurious
    return inputs + weight * (inputs[partner.to(inputs.device)] - inputs)


def reliance(predictions: Tensor, replaced_predictions: Tensor, annotation: Tensor) -> Tensor:
    """The share of predictions that change when the spurious region is replaced.

    Args:
        predictions: Classes ``(B,)`` or logits ``(B, C)``.
        replaced_predictions: The same for the inputs with the region replaced, see ``replace_spurious``.
        annotation: ``(B, ...)``; only samples with a spurious mark count.

    Returns:
        Scalar in ``[0, 1]``; NaN where no sample has a spurious mark.

    Example:
        >>> mark = torch.tensor([[-1], [-1], [0]])
        >>> reliance(torch.tensor([1, 0, 0]), torch.tensor([1, 1, 1]), mark).item()
        0.5
    """
    changed, counted = reliance_counts(predictions, replaced_predictions, annotation)
    return changed / counted


def reliance_counts(predictions: Tensor, replaced_predictions: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
    """Samples whose prediction changed, and samples that carry a spurious mark."""
    before, after = predicted_classes(predictions), predicted_classes(replaced_predictions)
    if not before.shape == after.shape == annotation.shape[:1]:
        raise ValueError(
            f"{tuple(before.shape)} predictions, {tuple(after.shape)} after the replacement and "
            f"{tuple(annotation.shape)} annotations must have one entry per sample."
        )
    counted = is_annotated(marks(annotation).spurious).to(before.device)
    return ((before != after) & counted).sum().float(), counted.sum().float()
