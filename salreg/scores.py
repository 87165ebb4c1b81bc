"""What is explained: one number per sample, made from the logits.

A score is any callable ``(logits (B, C), target (B,) or None) -> (B,)``, or the name of one of these functions.
A model with a single logit per sample, ``(B,)`` or ``(B, 1)``, is read as two classes with logits ``-z/2`` and ``z/2``,
whose softmax is the sigmoid of ``z``. A target ``(B, C)`` of zeros and ones makes the classes labels of their own, each with a
sigmoid, of which a sample may have several. Logits for every place ``(B, C, ...)`` are scored by ``Dense``.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, log_softmax, logsigmoid

from salreg import checks

Score = Callable[[Tensor, Tensor | None], Tensor]


def log_prob_sum(logits: Tensor, target: Tensor | None = None) -> Tensor:
    """Sum of the log-probabilities of all classes; needs no target (Ross et al. 2017, eq. 1).

    Its gradient vanishes where all classes are equally likely, and not where the model is sure.

    Example:
        >>> log_prob_sum(torch.zeros(1, 2)).item()  # 2 log(1/2)
        -1.3862943649291992
    """
    if labels(logits, target) is not None:
        return (logsigmoid(logits) + logsigmoid(-logits)).sum(1)
    return log_softmax(logits, dim=1).sum(1)


def target_logit(logits: Tensor, target: Tensor | None) -> Tensor:
    """The logit of the true class; the sum of those of all true labels.

    Example:
        >>> target_logit(torch.tensor([[1.0, 4.0, 2.0]]), torch.tensor([[1, 0, 1]])).item()
        3.0
    """
    several = labels(logits, target)
    if several is not None:
        return (logits * several).sum(1)
    classes = _required(target, "target_logit").long().view(-1)
    # A negative class, such as the -100 that losses ignore, says that the sample has none.
    return logits.gather(1, classes.clamp(min=0).view(-1, 1)).squeeze(1) * (classes >= 0)


def predicted_logit(logits: Tensor, target: Tensor | None = None) -> Tensor:
    """The logit of the class that the model predicts."""
    return logits.max(dim=1).values


def contrast(logits: Tensor, target: Tensor | None = None) -> Tensor:
    """The predicted class's logit less the runner-up's: ``|z0 - z1|`` of two classes (GradMask, Simpson et al. 2019).

    Example:
        >>> contrast(torch.tensor([[1.0, 4.0, 2.0]])).item()
        2.0
    """
    highest = logits.topk(2, dim=1).values
    return highest[:, 0] - highest[:, 1]


def task_loss(logits: Tensor, target: Tensor | None) -> Tensor:
    """Cross-entropy of each sample, summed over the labels where there are several; its gradient fades as the model becomes
    sure of the true class."""
    several = labels(logits, target)
    if several is not None:
        return binary_cross_entropy_with_logits(logits, several, reduction="none").sum(1)
    classes = _required(target, "task_loss").long().view(-1)
    return cross_entropy(logits, classes.clamp(min=0), reduction="none") * (classes >= 0)


class Dense:
    """Scores logits that a model gives for every place: segmentation, detection, tagging.

    Args:
        score: What is explained at a place: a name or a callable.
        reduction: How the places make one number per sample: their ``mean``, or ``max``, the place with the highest score.

    Raises:
        ValueError: An unknown name.

    Example:
        >>> logits = torch.zeros(2, 3, 4, 4)  # three classes on a grid of 4 x 4
        >>> evaluate(Dense("target_logit"), logits, torch.zeros(2, 4, 4)).shape
        torch.Size([2])
    """

    def __init__(self, score: "str | Score" = "log_prob_sum", reduction: Literal["mean", "max"] = "mean") -> None:
        checks.choice(("mean", "max"), reduction=reduction)
        self.score = resolve(score)
        self.reduction = reduction

    def __call__(self, logits: Tensor, target: Tensor | None = None) -> Tensor:
        """From logits ``(B, C, ...)``, and a target ``(B, ...)`` or one class per sample ``(B,)``, to ``(B,)``."""
        size, classes = logits.shape[:2]
        rows = logits.flatten(2).transpose(1, 2).reshape(-1, classes)
        if target is not None:
            target = target.reshape(size, -1).expand(size, len(rows) // size).reshape(-1)
        values = self.score(one_row_per_sample(rows), target).view(size, -1)
        return values.mean(1) if self.reduction == "mean" else values.amax(1)


NAMED: dict[str, Score] = {
    score.__name__: score for score in (log_prob_sum, target_logit, predicted_logit, contrast, task_loss)
}


def resolve(score: str | Score) -> Score:
    """The score of that name, or the callable itself."""
    if callable(score) and not isinstance(score, type):
        return score
    return checks.named("a score", score, NAMED)


def evaluate(score: Score, logits: Tensor, target: Tensor | None, link: str | None = None) -> Tensor:
    """Apply a score in at least single precision: ``(B,)``.

    Args:
        score: What is explained.
        logits: What the network put out.
        target: True classes, for scores that need them.
        link: How the training loss reads the logits, where that is known. What a ``"regression"`` puts out has no
            probabilities: it is explained itself, summed over a sample's numbers.

    Raises:
        ValueError: The logits are not one row per sample, or the score does not give one number per sample.
    """
    if link == "regression":
        return logits.reshape(len(logits), -1).sum(1, dtype=torch.promote_types(logits.dtype, torch.float32))
    values = score(logits if isinstance(score, Dense) else one_row_per_sample(logits), target)
    if values.shape != logits.shape[:1]:
        raise ValueError(
            f"The score {getattr(score, '__name__', score)} gave shape {tuple(values.shape)} for {logits.shape[0]} "
            "samples; it must give one number per sample, shape (B,)."
        )
    return values


def one_row_per_sample(logits: Tensor) -> Tensor:
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    if logits.ndim == 1 or (logits.ndim == 2 and logits.shape[1] == 1):
        half = logits.reshape(-1, 1) / 2
        return torch.cat([-half, half], dim=1)
    if logits.ndim != 2:
        raise ValueError(
            f"The model's output has shape {tuple(logits.shape)}; logits are (B, classes), or (B,) for two classes. "
            "Where there are some for every place, say score=Dense('target_logit') (salreg.scores.Dense)."
        )
    return logits


def labels(logits: Tensor, target: Tensor | None) -> Tensor | None:
    """The target as zeros and ones ``(B, C)``, where a sample may have several labels; otherwise None."""
    if target is None or target.ndim != 2 or target.shape != logits.shape or target.shape[1] == 1:
        return None
    return target.to(logits)


def _required(target: Tensor | None, name: str) -> Tensor:
    if target is None:
        raise ValueError(f"The score {name!r} needs a target; give one, or use 'log_prob_sum' or 'predicted_logit'.")
    return target
