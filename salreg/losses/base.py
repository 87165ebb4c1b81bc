"""What every attribution loss shares: a value per sample, and the mean over the samples it applies to."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor

from salreg.distributed import sum_over_ranks, world_size


class PerSample(NamedTuple):
    """An attribution loss before the mean.

    Attributes:
        value: ``(B,)``, finite wherever ``scored``.
        scored: ``(B,)`` booleans: samples that the loss applies to.
        undefined: ``(B,)`` booleans: samples that it would apply to, but whose map gives no value.
    """

    value: Tensor
    scored: Tensor
    undefined: Tensor


class AttributionLoss(ABC):
    """A formula over a saliency map and an annotation of the same layout."""

    @abstractmethod
    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        """The loss of each sample; ``saliency`` is ``(B, ...)`` and ``annotation`` broadcasts to it."""

    def __call__(self, saliency: Tensor, annotation: Tensor) -> Tensor:
        """Mean over the scored samples, of all processes under distributed training; 0 where there is none."""
        return mean_over_scored(self.per_sample(saliency, annotation))


def mean_over_scored(losses: PerSample) -> Tensor:
    """Mean of the scored values. Under DDP, whose gradients are averaged over the processes, each process divides its
    sum by the average count of scored samples, so that the average is the mean over all of them."""
    count = sum_over_ranks(losses.scored.sum().to(losses.value.dtype)) / world_size()
    return losses.value.where(losses.scored, losses.value.new_zeros(())).sum() / count.clamp(min=1 / world_size())
