"""How similar maps are to earlier ones, and how concentrated they are, averaged over samples."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from salreg.metrics import functional
from salreg.metrics.plottable import Plottable


class _MeanOfMaps(Plottable):
    """The mean over all maps with a defined value; the others are counted separately."""

    total: Tensor
    count: Tensor
    undefined: Tensor
    _measure: Callable[..., Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("total", "count", "undefined"):
            self.add_state(name, torch.tensor(0.0), dist_reduce_fx="sum")

    def _add(self, values: Tensor) -> None:
        defined = values.isfinite()
        self.total = self.total + values[defined].sum()
        self.count = self.count + defined.sum()
        self.undefined = self.undefined + (~defined).sum()

    def compute(self) -> Tensor:
        """The mean; NaN if no map counted. ``.undefined`` holds the number of samples that were left out."""
        return self.total / self.count


class _MeanOfPairs(_MeanOfMaps):
    def update(self, saliency: Tensor, other: Tensor) -> None:
        """Add two maps ``(B, ...)`` of each sample, for example from two epochs."""
        self._add(self._measure(saliency, other))


class _MeanOfShapes(_MeanOfMaps):
    def update(self, saliency: Tensor) -> None:
        """Add maps ``(B, ...)``."""
        self._add(self._measure(saliency))


class MapCosine(_MeanOfPairs):
    """Mean cosine of the angle between two maps, see ``salreg.metrics.functional.map_cosine``.

    Example:
        >>> metric = MapCosine()
        >>> metric.update(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]))
        >>> metric.compute().item()
        0.0
    """

    plot_lower_bound = -1.0
    _measure = staticmethod(functional.map_cosine)


class MapRankCorrelation(_MeanOfPairs):
    """Mean Spearman correlation of two maps, see ``salreg.metrics.functional.map_rank_correlation``.

    Example:
        >>> metric = MapRankCorrelation()
        >>> metric.update(torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[1.0, 3.0, 4.0]]))
        >>> metric.compute().item()
        1.0
    """

    plot_lower_bound = -1.0
    _measure = staticmethod(functional.map_rank_correlation)


class MapSSIM(_MeanOfPairs):
    """Mean structural similarity of two image maps, see ``salreg.metrics.functional.map_ssim``.

    Example:
        >>> metric, maps = MapSSIM(), torch.rand(2, 1, 16, 16)
        >>> metric.update(maps, maps)
        >>> metric.compute().item()
        1.0
    """

    plot_lower_bound = -1.0
    _measure = staticmethod(functional.map_ssim)


class MapShift(_MeanOfPairs):
    """Mean distance of two maps' centres of mass, see ``salreg.metrics.functional.map_shift``.

    Example:
        >>> metric = MapShift()
        >>> metric.update(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]]))
        >>> metric.compute().item()
        0.5
    """

    _measure = staticmethod(functional.map_shift)


class MapEntropy(_MeanOfShapes):
    """Mean entropy of maps, see ``salreg.metrics.functional.map_entropy``.

    Example:
        >>> metric = MapEntropy()
        >>> metric.update(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
        >>> metric.compute().item(), metric.undefined.item()
        (1.0, 1.0)
    """

    _measure = staticmethod(functional.map_entropy)


class MapGini(_MeanOfShapes):
    """Mean Gini coefficient of maps, see ``salreg.metrics.functional.map_gini``.

    Example:
        >>> metric = MapGini()
        >>> metric.update(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        >>> metric.compute().item()
        0.75
    """

    _measure = staticmethod(functional.map_gini)
