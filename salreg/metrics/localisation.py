"""The share of saliency on the marks, averaged over samples."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from salreg.annotations import is_annotated, marks
from salreg.metrics.functional.localisation import pointing_game, relevance_rank, relevant_saliency, spurious_saliency
from salreg.metrics.plottable import Plottable


class MeanShare(Plottable):
    """Mean of a share over the samples that carry the marks; maps without a defined share are counted separately."""

    total: Tensor
    count: Tensor
    undefined: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("total", "count", "undefined"):
            self.add_state(name, torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, saliency: Tensor, annotation: Tensor) -> None:
        """Add maps ``(B, ...)`` and the annotations on their grid."""
        share, marked = self.share_and_marked(saliency, annotation)
        marked = marked.to(share.device)
        defined = marked & share.isfinite()
        self.total = self.total + share[defined].sum()
        self.count = self.count + defined.sum()
        self.undefined = self.undefined + (marked & ~defined).sum()

    def compute(self) -> Tensor:
        """The mean in ``[0, 1]``; NaN if no map counted. ``.undefined`` holds the number of maps without a defined share."""
        return self.total / self.count

    @abstractmethod
    def share_and_marked(self, saliency: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
        """The share of each map ``(B,)``, and which samples carry the marks that it refers to."""


class SpuriousSaliency(MeanShare):
    """Mean share of absolute saliency on the spurious marks, over the samples that carry one.

    See ``salreg.metrics.functional.spurious_saliency``.

    Example:
        >>> metric = SpuriousSaliency()
        >>> metric.update(torch.tensor([[3.0, -1.0], [0.0, 0.0]]), torch.tensor([[0, -1], [0, -1]]))
        >>> metric.compute().item(), metric.undefined.item()
        (0.25, 1.0)
    """

    higher_is_better = False

    def share_and_marked(self, saliency: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
        return spurious_saliency(saliency, annotation), is_annotated(marks(annotation).spurious)


class RelevantSaliency(MeanShare):
    """Mean share of positive saliency on the relevant marks (energy pointing game), over the samples that carry one.

    See ``salreg.metrics.functional.relevant_saliency``.

    Example:
        >>> metric = RelevantSaliency()
        >>> metric.update(torch.tensor([[3.0, 1.0]]), torch.tensor([[1, 0]]))
        >>> metric.compute().item()
        0.75
    """

    higher_is_better = True

    def share_and_marked(self, saliency: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
        return relevant_saliency(saliency, annotation), is_annotated(marks(annotation).relevant)


class PointingGame(MeanShare):
    """Share of samples whose largest saliency lies on a relevant mark, over the samples that carry one.

    See ``salreg.metrics.functional.pointing_game``.

    Example:
        >>> metric = PointingGame()
        >>> metric.update(torch.tensor([[3.0, 1.0], [0.0, 0.0]]), torch.tensor([[1, 0], [1, 0]]))
        >>> metric.compute().item(), metric.undefined.item()
        (1.0, 1.0)
    """

    higher_is_better = True

    def share_and_marked(self, saliency: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
        return pointing_game(saliency, annotation), is_annotated(marks(annotation).relevant)


class RelevanceRank(MeanShare):
    """Mean share of relevant places among the most salient ones, over the samples that carry a relevant mark.

    See ``salreg.metrics.functional.relevance_rank``.

    Example:
        >>> metric = RelevanceRank()
        >>> metric.update(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([[1, 1, 0]]))
        >>> metric.compute().item()
        0.5
    """

    higher_is_better = True

    def share_and_marked(self, saliency: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
        return relevance_rank(saliency, annotation), is_annotated(marks(annotation).relevant)
