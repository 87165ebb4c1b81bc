"""The base of all attribution losses: a value per sample, and the mean over the samples it applies to."""

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

from torch import Tensor

from salreg.annotations import align, as_places, is_annotated, marks
from salreg.distributed import sum_over_ranks, world_size

#: The marks a loss works on; "either" takes both, "nothing" applies to every sample.
Needs = Literal["spurious", "relevant", "either", "nothing"]


class PerSample(NamedTuple):
    """The attribution loss of each sample, before taking the mean.

    Attributes:
        value: ``(B,)``, finite wherever ``scored``.
        scored: ``(B,)`` booleans: samples that the loss applies to.
        undefined: ``(B,)`` booleans: samples that it would apply to, but whose map has no defined value.
    """

    value: Tensor
    scored: Tensor
    undefined: Tensor


class AttributionLoss(ABC):
    """A formula over a saliency map and an annotation of the same layout."""

    #: The marks without which the loss does not apply to a sample.
    needed_marks: Needs = "spurious"

    @abstractmethod
    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        """The loss of each sample; ``saliency`` is ``(B, ...)``, and ``annotation`` broadcasts to it and has one channel for
        each place, see ``salreg.annotations.as_places``."""

    def __call__(self, saliency: Tensor, annotation: Tensor) -> Tensor:
        """Mean over the scored samples, over all processes in distributed training; 0 if there are none.

        Raises:
            ValueError: The annotation is not laid out like the maps; it may have a single channel, though.
        """
        return mean_over_scored(self.per_sample(*as_places(saliency, align(annotation, saliency))))


def mean_over_scored(losses: PerSample) -> Tensor:
    """Mean of the scored values. Under DDP, whose gradients are averaged over the processes, each process divides its
    sum by the average count of scored samples, so that the average is the mean over all of them."""
    count = sum_over_ranks(losses.scored.sum().to(losses.value.dtype)) / world_size()
    return losses.value.where(losses.scored, losses.value.new_zeros(())).sum() / count.clamp(min=1 / world_size())


def per_place(saliency: Tensor) -> Tensor:
    """One number per place, ``(B, P)``: the channels of ``(B, C, ...)`` are summed, as the score sums them."""
    return (saliency.sum(1) if saliency.ndim > 2 else saliency).flatten(1)


def misplaced(annotation: Tensor) -> Tensor:
    """Where saliency should not be, in [0, 1]: everything outside the relevant marks of a sample that has any, otherwise its
    spurious marks."""
    spurious, relevant = marks(annotation)
    has_relevant = is_annotated(relevant).view(-1, *[1] * (annotation.ndim - 1))
    return (1 - relevant).where(has_relevant, spurious)


def split(value: Tensor, applies: Tensor, defined: Tensor) -> PerSample:
    """Losses per sample, with those that apply but are undefined counted separately."""
    return PerSample(value, applies & defined, applies & ~defined)
