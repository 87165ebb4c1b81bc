"""Scores of logits for many places: an image's pixels, a text's tokens, or the start and end of an answer."""

import copy
from collections.abc import Sequence as Ordered
from typing import Literal

import torch
from torch import Tensor

from salreg import checks
from salreg.scores.classes import Score, log_prob_sum, log_prob_sum_of_labels, one_row_per_sample, resolve

Reduction = Literal["mean", "sum", "max"]


class Dense:
    """Scores logits that a model gives for every place: segmentation, detection, tagging.

    Places with a negative target, such as the -100 that losses ignore, do not count; a sample without a place that counts
    scores 0.

    Args:
        score: The score at each place: a name or a callable.
        reduction: How the places are reduced to one number per sample: by ``mean``, ``sum``, or ``max`` (the place with the
            highest score).
        axis: Which axis of the logits holds the classes: 1, as in PyTorch's losses, or -1, as in language models. In a training
            whose loss shows the axis, that axis is used instead.

    Raises:
        ValueError: An unknown name, or a target that matches neither the places nor the samples.

    Example:
        >>> logits = torch.zeros(2, 3, 4, 4)  # three classes on a grid of 4 x 4
        >>> Dense("target_logit")(logits, torch.zeros(2, 4, 4)).shape
        torch.Size([2])
        >>> Dense("target_logit", axis=-1)(torch.zeros(2, 7, 3), torch.zeros(2, 7)).shape  # three classes of 7 tokens
        torch.Size([2])
    """

    #: It gets logits for places as they are; a callable without this attribute gets one row a place.
    dense = True

    def __init__(self, score: str | Score = "log_prob_sum", reduction: Reduction = "mean", axis: int = 1) -> None:
        checks.choice(("mean", "sum", "max"), reduction=reduction)
        if axis == 0 or isinstance(axis, bool) or not isinstance(axis, int):
            raise ValueError(f"axis must be the axis of the classes, usually 1 or -1, not {axis!r}; axis 0 holds the samples.")
        self.score = resolve(score)
        self.reduction = reduction
        self.axis = axis

    def __call__(self, logits: Tensor, target: Tensor | None = None) -> Tensor:
        """From logits ``(B, C, ...)``, and a target ``(B, ...)`` or one class per sample ``(B,)``, to ``(B,)``."""
        places = logits.movedim(self.axis, -1)
        rows = places.flatten(0, -2)
        size, count = len(logits), len(rows) // max(len(logits), 1)
        if target is None:
            return self._reduced(self.score(one_row_per_sample(rows), None), None, size, count)
        target = self._of_places(target, size, count, logits).reshape(-1)
        counted = self._counted(target.view(size, count)).view(-1)
        if bool(counted.all()):
            return self._reduced(self.score(one_row_per_sample(rows), target), None, size, count)
        chosen = counted.nonzero().flatten()  # of a long text only the answer is labelled as a rule
        return self._reduced(self.score(one_row_per_sample(rows[chosen]), target[chosen]), chosen, size, count)

    def _of_places(self, target: Tensor, size: int, count: int, logits: Tensor) -> Tensor:
        if target.numel() == size and count > 1:
            return target.reshape(size, 1).expand(size, count)
        if target.numel() != size * count:
            raise ValueError(
                f"The target of shape {tuple(target.shape)} fits neither the samples nor the places of logits of shape "
                f"{tuple(logits.shape)} with their classes on axis {self.axis}."
                + (" If the classes come last, use axis=-1." if self.axis == 1 else "")
            )
        return target

    def _counted(self, target: Tensor) -> Tensor:
        """Which places ``(B, P)`` count."""
        return target >= 0

    def _reduced(self, values: Tensor, chosen: Tensor | None, size: int, count: int) -> Tensor:
        if chosen is None:
            table = values.view(size, count)
            return table.mean(1) if self.reduction == "mean" else table.sum(1) if self.reduction == "sum" else table.amax(1)
        sample = chosen // count
        if self.reduction == "max":
            highest = values.new_full((size,), -torch.inf).scatter_reduce(0, sample, values, "amax")
            return highest.where(highest.isfinite(), 0)
        total = values.new_zeros(size).index_add(0, sample, values)
        return total / sample.bincount(minlength=size).clamp(min=1) if self.reduction == "mean" else total

    def of_classes_in_front(self) -> "Dense":
        """The same score of logits ``(B, C, P)``."""
        if self.axis == 1:
            return self
        same = copy.copy(self)
        same.axis = 1
        return same


class Sequence(Dense):
    r"""The mean log-probability of a sample's labelled tokens, such as a language model's answer, a summary, or a sentence's
    tags.

    .. math:: \frac{1}{|L|} \sum_{t \in L} \log p(y_t), \qquad L = \{t: y_t \ge 0\}

    It is the mean rather than the sum, so that the weight of a penalty does not depend on an answer's length. This score is the
    default in a training whose loss is a cross-entropy over many places.

    Args:
        places: Which of the labelled tokens count: ``all``, the ``first``, or a list of indices such as ``[0, 1]``, counted
            from 0 among the labelled ones.
        score: The score at each token.
        axis: See ``Dense``.

    Example:
        >>> logits, labels = torch.zeros(1, 3, 4), torch.tensor([[-100, 1, 3]])  # three places, four classes
        >>> round(Sequence(axis=-1)(logits, labels).exp().item(), 3)
        0.25
    """

    def __init__(
        self, places: Literal["all", "first"] | Ordered[int] = "all", score: str | Score = "target_log_prob", axis: int = -1
    ) -> None:
        super().__init__(score, "mean", axis)
        if isinstance(places, str):
            checks.choice(("all", "first"), places=places)
        self.places = places

    def _counted(self, target: Tensor) -> Tensor:
        labelled = target >= 0
        if self.places == "all":
            return labelled
        numbers = torch.tensor([0] if self.places == "first" else [int(place) for place in self.places], device=target.device)
        return labelled & torch.isin(labelled.cumsum(1) - 1, numbers)

    def __call__(self, logits: Tensor, target: Tensor | None = None) -> Tensor:
        """From logits ``(B, T, C)`` and labels ``(B, T)`` to ``(B,)``."""
        if target is None or target.numel() == len(logits) != logits[0].numel():
            raise ValueError(
                "The score of a sequence needs the label of each place of the logits (B, T), -100 where there is none: leave "
                "them in the batch (batch['labels'] instead of batch.pop('labels')), each at the place whose logits predict "
                "it, and give their key as target='...'; or use score=Dense('log_prob_sum'), which needs none."
            )
        return super().__call__(logits, target)


class Span(Dense):
    """The sum of the scores of an answer's start and its end.

    In logits ``(B, T, 2)`` for start and end, the classes are the places ``T``; the target ``(B, 2)`` holds the places of the
    answer's start and end. This score is the default in a training whose loss asks for both.

    Args:
        score: The score of either: ``log_prob_sum`` covers all starts and all ends, ``target_log_prob`` only the labelled ones.

    Example:
        >>> Span("target_log_prob")(torch.zeros(1, 4, 2), torch.tensor([[1, 2]])).exp().item()  # 1/4 each
        0.0625
    """

    def __init__(self, score: str | Score = "log_prob_sum") -> None:
        super().__init__(score, "sum", axis=1)


def classes_in_front(logits: Tensor, link: str | None) -> Tensor:
    """Logits ``(B, C)`` of samples, or ``(B, C, P)`` if the loss reads them place by place, in at least single precision."""
    if link not in ("tokens", "span"):
        return one_row_per_sample(logits)
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def over_places(values: Tensor, target: Tensor | None) -> Tensor:
    """Values ``(B,)`` of samples unchanged, or for values ``(B, P)`` the mean over the places that have a label.

    Example:
        >>> over_places(torch.tensor([[1.0, 2.0, 6.0]]), torch.tensor([[0, 4, -100]])).tolist()
        [1.5]
    """
    if values.ndim == 1:
        return values
    counted = torch.ones_like(values) if target is None or target.shape != values.shape else (target >= 0).to(values)
    return (values * counted).sum(1) / counted.sum(1).clamp(min=1)


def for_link(score: Score, link: str | None) -> Score:
    """The score to use if the loss reads the logits by a ``sigmoid``, or reads ``(B, C, P)`` as ``tokens`` or a ``span``."""
    if link == "sigmoid":
        return log_prob_sum_of_labels if score is log_prob_sum else score
    if link not in ("tokens", "span"):
        return score
    if getattr(score, "dense", False):
        return score.of_classes_in_front() if isinstance(score, Dense) else score
    if link == "span":
        return Span(score)
    # The sum over a whole vocabulary, at every place, says nothing of an answer: what counts is what the loss asks for.
    return Sequence(axis=1) if score is log_prob_sum else Dense(score)
