"""Behaviour rather than maps: do predictions change when the spurious region does?"""

from typing import Literal

import torch
from torch import Tensor

from salreg.annotations import align, is_annotated, marks
from salreg.metrics.functional.predictions import predicted_classes

Replaced = Literal["swap", "mean", "noise"]
REPLACED_BY: tuple[Replaced, ...] = ("swap", "mean", "noise")


def replace_spurious(
    inputs: Tensor, annotation: Tensor, generator: torch.Generator | None = None, by: Replaced = "swap"
) -> Tensor:
    """Replace the spurious region of each sample.

    Args:
        inputs: ``(B, ...)``, at least two samples.
        annotation: Laid out like the inputs, one channel is enough. Soft marks mix the two samples.
        generator: A CPU generator to draw from; the global one by default.
        by: ``swap`` takes the same place of another sample of the batch, never of the same one. ``mean`` fills the region
            with the batch's mean, and ``noise`` with normal noise of the batch's mean and standard deviation, both channel
            by channel.

    Returns:
        A tensor like ``inputs``.

    Raises:
        ValueError: One sample only: there is no other to take the region from. Or another word.
    """
    weight = marks(align(annotation, inputs)).spurious
    return inputs + weight * (_replacement(inputs, generator, by) - inputs)


def reliance_name(by: Replaced) -> str:
    """What reliance on a region is called that is replaced in one way or another."""
    return "reliance" if by == "swap" else f"reliance_{by}"


def _replacement(inputs: Tensor, generator: torch.Generator | None, by: Replaced) -> Tensor:
    if by == "swap":
        return _of_others(inputs, generator)
    if by not in REPLACED_BY:
        raise ValueError(f"The spurious region is replaced by {', '.join(REPLACED_BY)}, not by {by!r}.")
    axes = [axis for axis in range(inputs.ndim) if axis != 1]
    mean = inputs.mean(axes, keepdim=True)
    if by == "mean":
        return mean
    noise = torch.randn(inputs.shape, generator=generator).to(inputs)
    return mean + inputs.std(axes, keepdim=True, correction=0) * noise


def _of_others(inputs: Tensor, generator: torch.Generator | None) -> Tensor:
    size = len(inputs)
    if size < 2:
        raise ValueError("The spurious region is replaced by another sample's, but the batch has one sample only.")
    order = torch.randperm(size, generator=generator)
    partner = torch.empty_like(order)
    partner[order] = order.roll(1)
    return inputs[partner.to(inputs.device)]


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
