"""Shares and means with confidence intervals: the bootstrap over samples."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from salreg import checks

_NUMBERS_AT_ONCE = 2**23


class Interval(NamedTuple):
    """A number with its confidence interval.

    Attributes:
        value: The number; NaN if nothing was counted.
        low: The lower bound.
        high: The upper bound.
        cases: The number of cases it is based on.
    """

    value: float
    low: float
    high: float
    cases: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Bootstrap:
    """Percentile intervals from resampling. All numbers share the same draws, so that differences have intervals too.

    A share that is 0 or 1 in all draws has the exact bound of a binomial share on its other side.

    Args:
        samples: The number of samples, N.
        level: The confidence level: the share of such intervals that contain the true number.
        times: The number of resamplings.
        seed: The seed of the draws.

    Raises:
        ValueError: The level is outside (0, 1), or a number is below 1.

    Example:
        >>> changed = torch.tensor([1.0, 0.0, 1.0, 1.0])
        >>> Bootstrap(4).ratio(changed, torch.ones(4)).value
        0.75
    """

    def __init__(self, samples: int, level: float = 0.95, times: int = 1000, seed: int = 0) -> None:
        checks.whole(samples=samples, times=times)
        checks.number("(0, 1)", level=level)
        self.samples, self.level, self.times, self.seed = samples, level, times, seed
        self._kept: Tensor | None = None

    def ratio(self, parts: Tensor, wholes: Tensor, share: bool = True) -> Interval:
        """The sum of the parts divided by that of the wholes.

        Args:
            parts: The part of each sample ``(N,)``.
            wholes: The number of cases of each sample ``(N,)``, at least 0.
            share: Whether the ratio is a share of cases, in [0, 1].
        """
        value, drawn = self._ratios(parts, wholes)
        count = int(wholes.sum())
        low, high = self._bounds(drawn)
        if share and count and value in (0.0, 1.0):
            exact = 1 - ((1 - self.level) / 2) ** (1 / int((wholes > 0).sum()))
            low, high = (0.0, exact) if value == 0 else (1 - exact, 1.0)
        return Interval(value, low, high, count)

    def difference(self, one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Interval:
        """One ratio minus another, each given by parts and wholes ``(N,)``; the number of cases is that of the smaller
        whole."""
        (first, of_first), (second, of_second) = self._ratios(*one), self._ratios(*other)
        low, high = self._bounds(of_first - of_second)
        return Interval(first - second, low, high, int(min(one[1].sum(), other[1].sum())))

    def _ratios(self, parts: Tensor, wholes: Tensor) -> tuple[float, Tensor]:
        if not parts.shape == wholes.shape == (self.samples,):
            raise ValueError(f"{tuple(parts.shape)} parts and {tuple(wholes.shape)} wholes of {self.samples} samples.")
        columns = torch.stack([parts, wholes], 1).double().cpu()
        total = columns.sum(0)
        sums = self._sums(columns)
        return (float(total[0] / total[1]) if total[1] else math.nan), sums[:, 0] / sums[:, 1]

    def _sums(self, columns: Tensor) -> Tensor:
        """The sums over the samples that are drawn, ``(times, K)`` of ``(N, K)``."""
        if self.times * self.samples <= _NUMBERS_AT_ONCE:
            if self._kept is None:
                self._kept = next(self._weights(self.times))
            return self._kept @ columns
        return torch.cat([weights @ columns for weights in self._weights(max(1, _NUMBERS_AT_ONCE // self.samples))])

    def _weights(self, size: int) -> Iterator[Tensor]:
        """How often each sample is drawn, ``(size, N)`` at a time."""
        generator = torch.Generator().manual_seed(self.seed)
        for start in range(0, self.times, size):
            draws = torch.randint(self.samples, (min(size, self.times - start), self.samples), generator=generator)
            weights = torch.zeros(draws.shape, dtype=torch.float64)
            yield weights.scatter_add_(1, draws, torch.ones_like(weights))

    def _bounds(self, drawn: Tensor) -> tuple[float, float]:
        known = drawn[~drawn.isnan()]
        if not len(known):
            return math.nan, math.nan
        edges: Any = torch.tensor([(1 - self.level) / 2, (1 + self.level) / 2], dtype=known.dtype)
        low, high = known.quantile(edges).tolist()
        return low, high
