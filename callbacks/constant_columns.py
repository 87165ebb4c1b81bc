"""Columns of a table that hold one value only: whatever the gradient there, no model can use them."""

import torch
from torch import Tensor

from salreg.distributed import least_over_ranks, sum_over_ranks

_ROWS_TO_TELL = 32  # whether a column is constant


def constant_columns(rows: Tensor) -> Tensor | None:
    """Which columns of a table hold one value only; None where none does, and of what is no table or has fewer than 32 rows.

    Args:
        rows: ``(N, F)``.

    Example:
        >>> constant_columns(torch.stack([torch.zeros(32), torch.arange(32.0)], 1))
        tensor([ True, False])
    """
    if rows.ndim != 2 or not rows.is_floating_point() or len(rows) < _ROWS_TO_TELL:
        return None
    same = (rows == rows[:1]).all(0).cpu()
    return same if same.any() else None


class RowMaps:
    """The maps of a table's rows that have to wait until it is known which columns are constant."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all rows."""
        self._rows = 0
        self._low = self._negative_high = torch.zeros(0)
        self._waiting: list[tuple[Tensor, Tensor]] = []

    def waits(self, rows: Tensor | None, saliency: Tensor, annotation: Tensor) -> bool:
        """Take in rows, maps and annotations ``(B, F)``; whether the maps are kept, as a column has been constant so far.

        What is no row of a table, or has a map of another shape, never waits.
        """
        if rows is None or rows.ndim != 2 or rows.shape != saliency.shape or not len(rows):
            return False
        low, negative_high = rows.detach().amin(0), (-rows.detach()).amin(0)
        if self._rows:
            low, negative_high = torch.minimum(low, self._low), torch.minimum(negative_high, self._negative_high)
        self._low, self._negative_high, self._rows = low, negative_high, self._rows + len(rows)
        if not (low == -negative_high).any():
            return False
        self._waiting.append((saliency, annotation))
        return True

    def without_constant_columns(self, device: torch.device) -> list[tuple[Tensor, Tensor]]:
        """Maps and annotations that were kept, the maps being 0 at columns that hold one value on all processes, each of which
        calls this."""
        seen = sum_over_ranks(torch.tensor(float(self._rows), device=device))
        if not seen:
            return []
        width = int(-least_over_ranks(torch.tensor(-float(len(self._low)), device=device)))
        low, negative_high = torch.full((2, width), torch.inf, device=device)
        if self._rows:
            low, negative_high = self._low, self._negative_high
        constant = (least_over_ranks(low) == -least_over_ranks(negative_high)) & (seen >= _ROWS_TO_TELL)
        return [(saliency.masked_fill(constant, 0.0), annotation) for saliency, annotation in self._waiting]
