"""Reliance of models that output numbers rather than classes: how far these move when the spurious feature changes."""

import torch
from torch import Tensor

from salreg.distributed import accumulation_dtype


def regression_reliance(outputs: Tensor, changed_outputs: Tensor, counted: Tensor | None = None) -> Tensor:
    """How far a regression's output moves when the spurious feature is exchanged, removed or inserted, in units of its spread.

    It is the mean absolute change over the samples that count, divided by the standard deviation of the output over all
    samples: 1 means that the feature moves the output as far as samples differ. With several outputs, the mean is taken over
    those that have a spread.

    Args:
        outputs: ``(B,)`` or ``(B, K)``; outputs for every place ``(B, K, ...)`` are averaged.
        changed_outputs: The same for the changed samples.
        counted: The samples that count, booleans ``(B,)``; all by default.

    Returns:
        Scalar, at least 0; NaN if no sample counts or an output is NaN; infinite if the output moves but is the same for all
        samples.

    Raises:
        ValueError: The tensors differ in shape.

    Example:
        >>> regression_reliance(torch.tensor([0.0, 2.0, 4.0]), torch.tensor([1.0, 3.0, 5.0])).item()
        0.6123724579811096
    """
    counted = torch.ones(len(outputs), dtype=torch.bool) if counted is None else counted
    before, after = output_rows(outputs), output_rows(changed_outputs)
    if before.shape != after.shape or len(before) != len(counted):
        raise ValueError(
            f"Outputs {tuple(outputs.shape)}, those of the changed samples {tuple(changed_outputs.shape)} and {len(counted)} "
            "that say which samples count must fit together."
        )
    moved = (after - before).abs().where(counted.to(before.device).unsqueeze(1), 0).sum(0)
    return in_spreads(moved / counted.sum(), before.std(0, correction=0))


def output_rows(outputs: Tensor) -> Tensor:
    """Outputs as ``(B, K)``, in double precision if the device supports it."""
    rows = outputs.unsqueeze(1) if outputs.ndim == 1 else outputs
    return (rows.flatten(2).mean(2) if rows.ndim > 2 else rows).to(accumulation_dtype(outputs.device))


def in_spreads(moved: Tensor, spread: Tensor) -> Tensor:
    """The mean over the outputs ``(K,)`` of how far each moves in units of its spread."""
    varied = (spread > 0) | spread.isnan() | (moved > 0) | moved.isnan()
    shares = moved / spread
    return (shares[varied].mean() if varied.any() else moved.new_zeros(())).float()
