"""The plot method that all metrics share."""

from typing import Any

from torch import Tensor
from torchmetrics import Metric


class Plottable(Metric):
    """A metric with values in ``[0, 1]`` and a plot."""

    is_differentiable = False
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def plot(self, val: Tensor | list[Tensor] | None = None, ax: Any = None) -> Any:
        """Plot one value, or a list of values over time; the computed value by default. It needs matplotlib."""
        return self._plot(val, ax)
