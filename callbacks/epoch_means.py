"""Means over what an epoch's batches measured, each sample counting the same."""

from collections.abc import Iterable

import torch
from torch import Tensor

from salreg.distributed import accumulation_dtype, sum_over_ranks


class EpochMeans:
    """Sums and counts by key.

    Example:
        >>> means = EpochMeans()
        >>> means.add("penalty", torch.tensor(1.0), count=1)
        >>> means.add("penalty", torch.tensor(4.0), count=2)
        >>> means.take(["penalty", "spurious_saliency"], torch.device("cpu"))
        {'penalty': tensor(3., dtype=torch.float64)}
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, key: str, mean: Tensor, count: float) -> None:
        """Take in the mean of so many samples; one that is not finite counts only where there is no other.

        Args:
            key: Of the number.
            mean: A scalar.
            count: How many samples it is of; where every process takes in the same mean, this one's part of them.
        """
        mean = mean.detach()
        known = mean.isfinite()
        sums = torch.stack([(mean * count).where(known, torch.zeros_like(mean)), count * known, torch.ones_like(mean)])
        sums = sums.to(accumulation_dtype(mean.device))
        self._sums[key] = self._sums[key] + sums if key in self._sums else sums

    def take(self, keys: Iterable[str], device: torch.device) -> dict[str, Tensor]:
        """The means over all processes, without keys of which nothing was taken in, and NaN where nothing finite was; then
        begin anew.

        Args:
            keys: The same ones, in the same order, on every process.
            device: Where the sums are.
        """
        keys = list(keys)
        empty = torch.zeros(3, dtype=accumulation_dtype(device), device=device)
        sums = sum_over_ranks(torch.stack([self._sums.get(key, empty) for key in keys]))
        self._sums.clear()
        return {key: total / count for key, (total, count, taken) in zip(keys, sums, strict=True) if taken > 0}
