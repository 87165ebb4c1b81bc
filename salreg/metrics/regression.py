"""A metric of a regression's reliance."""

from typing import Any

import torch
from torch import Tensor

from salreg.metrics.functional.regression import in_spreads, output_rows
from salreg.metrics.plottable import Plottable

_OUTPUTS = 1024  # those beyond do not count


class RegressionReliance(Plottable):
    """How far a regression's output moves when the spurious feature changes, in units of the output's spread.

    See ``salreg.metrics.functional.regression_reliance``.

    Example:
        >>> metric = RegressionReliance()
        >>> metric.update(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 3.0]), torch.tensor([True, False]))
        >>> metric.update(torch.tensor([4.0]), torch.tensor([5.0]), torch.tensor([True]))
        >>> metric.compute().item()
        0.6123724579811096
    """

    higher_is_better = False
    moved: Tensor
    counted: Tensor
    seen: Tensor
    total: Tensor
    squares: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("moved", "total", "squares"):  # by output
            self.add_state(name, torch.zeros(_OUTPUTS, dtype=torch.double), dist_reduce_fx="sum")
        for name in ("counted", "seen"):
            self.add_state(name, torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, outputs: Tensor, changed_outputs: Tensor, counted: Tensor) -> None:
        """Add outputs ``(B,)`` or ``(B, K)``, those of the changed samples, and which samples count ``(B,)``."""
        before, after = (output_rows(one)[:, :_OUTPUTS] for one in (outputs, changed_outputs))
        counted = counted.to(before.device)
        self.moved = self.moved + self._padded((after - before).abs().where(counted.unsqueeze(1), 0).sum(0))
        self.total, self.squares = self.total + self._padded(before.sum(0)), self.squares + self._padded(before.square().sum(0))
        self.counted, self.seen = self.counted + counted.sum(), self.seen + len(before)

    def _padded(self, values: Tensor) -> Tensor:
        return torch.nn.functional.pad(values.to(self.moved), (0, _OUTPUTS - len(values)))

    def compute(self) -> Tensor:
        """At least 0; NaN if no sample counts or an output is NaN."""
        return in_spreads(self.moved / self.counted, spread_of(self.seen, self.total, self.squares))


def spread_of(seen: Tensor, total: Tensor, squares: Tensor) -> Tensor:
    """The standard deviation of each output, from the number of samples, and the sums of outputs and of their squares."""
    mean = total / seen
    spread = (squares / seen - mean.square()).clamp(min=0).sqrt()
    return spread.where(spread.isnan() | (spread > 1e-7 * mean.abs()), 0)  # what is left of rounding is none
