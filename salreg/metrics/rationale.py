"""Metrics of agreement with a person's rationale, and of the model's dependence on the most salient places."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from salreg import checks
from salreg.annotations import is_annotated, marks
from salreg.metrics.functional.rationale import SHARES, Predict, check_shares, comprehensiveness, rationale_f1, sufficiency
from salreg.metrics.localisation import MeanShare
from salreg.metrics.plottable import Plottable


class RationaleF1(MeanShare):
    """Mean F1 score of the most salient places, over the samples that carry a relevant mark.

    See ``salreg.metrics.functional.rationale_f1``.

    Args:
        share: The share of places that count as predicted; by default as many as are marked.

    Example:
        >>> metric = RationaleF1()
        >>> metric.update(torch.tensor([[3.0, 1.0, 2.0, 0.0]]), torch.tensor([[1, 1, 0, 0]]))
        >>> metric.compute().item()
        0.5
    """

    higher_is_better = True

    def __init__(self, share: float | None = None, **kwargs: Any) -> None:
        checks.number("(0, 1]", or_none=True, share=share)
        super().__init__(**kwargs)
        self.share = share

    def share_and_marked(self, saliency: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
        return rationale_f1(saliency, annotation, self.share), is_annotated(marks(annotation).relevant)


class Comprehensiveness(Plottable):
    """Mean drop of the predicted class's probability without the most salient places.

    See ``salreg.metrics.functional.comprehensiveness``.

    Args:
        shares: The shares of places that are removed.

    Example:
        >>> metric, x = Comprehensiveness(shares=[0.5]), torch.tensor([[4.0, 0.0], [0.0, 4.0]])
        >>> metric.update(lambda x: x, x, x)
        >>> metric.compute().item()
        0.10121673345565796
    """

    higher_is_better = True
    plot_lower_bound = -1.0
    total: Tensor
    count: Tensor
    _measure = staticmethod(comprehensiveness)

    def __init__(self, shares: Sequence[float] = SHARES, **kwargs: Any) -> None:
        check_shares(shares)
        super().__init__(**kwargs)
        self.shares = tuple(shares)
        for name in ("total", "count"):
            self.add_state(name, torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, predict: Predict, inputs: Tensor, saliency: Tensor, annotation: Tensor | None = None) -> None:
        """Add inputs ``(B, ...)`` with their maps, a function that predicts logits from such inputs, and a text's
        annotations."""
        values = self._measure(predict, inputs, saliency, annotation, self.shares)
        self.total = self.total + values.sum()
        self.count = self.count + len(values)

    def compute(self) -> Tensor:
        """The mean in ``[-1, 1]``; NaN without samples."""
        return self.total / self.count


class Sufficiency(Comprehensiveness):
    """Mean drop of the predicted class's probability when only the most salient places are left.

    See ``salreg.metrics.functional.sufficiency``.

    Example:
        >>> metric, x = Sufficiency(shares=[1.0]), torch.tensor([[4.0, 0.0], [0.0, 4.0]])
        >>> metric.update(lambda x: x, x, x)
        >>> metric.compute().item()
        0.0
    """

    higher_is_better = False
    _measure = staticmethod(sufficiency)
