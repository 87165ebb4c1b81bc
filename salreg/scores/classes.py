"""Scores of classes: one number per sample, computed from logits ``(B, C)``.

A score is any callable ``(logits (B, C), target (B,) or None) -> (B,)``, or the name of one of these functions. A model with a
single logit per sample, ``(B,)`` or ``(B, 1)``, is read as two classes with logits ``-z/2`` and ``z/2``, whose softmax is the
sigmoid of ``z``. With a target ``(B, C)`` of zeros and ones, each class is a separate label with a sigmoid, and a sample may
have several.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, log_softmax, logsigmoid

from salreg import registry

Score = Callable[[Tensor, Tensor | None], Tensor]


def log_prob_sum(logits: Tensor, target: Tensor | None = None) -> Tensor:
    """Sum of the log-probabilities of all classes; needs no target (Ross et al. 2017, eq. 1).

    Its gradient vanishes when all classes are equally likely, and not when the model is certain.

    Example:
        >>> log_prob_sum(torch.zeros(1, 2)).item()  # 2 log(1/2)
        -1.3862943649291992
    """
    if labels(logits, target) is not None:
        return log_prob_sum_of_labels(logits)
    return log_softmax(logits, dim=1).sum(1)


def log_prob_sum_of_labels(logits: Tensor, target: Tensor | None = None) -> Tensor:
    """The same if a loss reads each logit as a label of its own, whose probability is its sigmoid, whatever the target is.

    Example:
        >>> log_prob_sum_of_labels(torch.zeros(1, 2)).item()  # 4 log(1/2)
        -2.7725887298583984
    """
    rows = _rows(logits)
    return (logsigmoid(rows) + logsigmoid(-rows)).sum(1)


log_prob_sum_of_labels.dense = True  # type: ignore[attr-defined]  # one logit stays one


def target_logit(logits: Tensor, target: Tensor | None) -> Tensor:
    """The logit of the true class, or the sum of the logits of all true labels.

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


def target_log_prob(logits: Tensor, target: Tensor | None) -> Tensor:
    """The log-probability of the true class, or of all labels if there are several; equals minus ``task_loss``.

    Example:
        >>> target_log_prob(torch.zeros(1, 4), torch.tensor([2])).exp().item()
        0.25
    """
    return -task_loss(logits, target)


def predicted_logit(logits: Tensor, target: Tensor | None = None) -> Tensor:
    """The logit of the class that the model predicts."""
    return logits.max(dim=1).values


def contrast(logits: Tensor, target: Tensor | None = None) -> Tensor:
    """The predicted class's logit minus the runner-up's: ``|z0 - z1|`` for two classes (GradMask, Simpson et al. 2019).

    Example:
        >>> contrast(torch.tensor([[1.0, 4.0, 2.0]])).item()
        2.0
    """
    highest = logits.topk(2, dim=1).values
    return highest[:, 0] - highest[:, 1]


def task_loss(logits: Tensor, target: Tensor | None) -> Tensor:
    """Cross-entropy of each sample, summed over the labels if there are several. Its gradient fades as the model becomes
    certain of the true class."""
    several = labels(logits, target)
    if several is not None:
        return binary_cross_entropy_with_logits(logits, several, reduction="none").sum(1)
    classes = _required(target, "task_loss").long().view(-1)
    return cross_entropy(logits, classes.clamp(min=0), reduction="none") * (classes >= 0)


NAMED: dict[str, Score] = {
    score.__name__: score for score in (log_prob_sum, target_log_prob, target_logit, predicted_logit, contrast, task_loss)
}


def resolve(score: str | Score) -> Score:
    """The score given by a name, or the callable itself."""
    if callable(score) and not isinstance(score, type):
        return score
    return registry.named("a score", score, NAMED)


def one_row_per_sample(logits: Tensor) -> Tensor:
    """Logits ``(B, C)`` in at least single precision; two for a single one ``(B,)`` or ``(B, 1)``.

    Raises:
        ValueError: There are more axes.
    """
    rows = _rows(logits)
    return torch.cat([-rows / 2, rows / 2], dim=1) if rows.shape[1] == 1 else rows


def _rows(logits: Tensor) -> Tensor:
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    rows = logits.reshape(-1, 1) if logits.ndim == 1 else logits
    if rows.ndim != 2:
        raise ValueError(
            f"The model's output has shape {tuple(logits.shape)}; logits are (B, classes), or (B,) for two classes. If there "
            "are logits for every place, use score=Dense('target_logit'), or if the classes come last, as in language "
            "models, score=Dense('target_logit', axis=-1) (salreg.scores.Dense)."
        )
    return rows


def labels(logits: Tensor, target: Tensor | None) -> Tensor | None:
    """The target as zeros and ones ``(B, C)`` if a sample may have several labels; otherwise None."""
    if target is None or target.ndim != 2 or target.shape != logits.shape or target.shape[1] == 1:
        return None
    return target.to(logits)


def _required(target: Tensor | None, name: str) -> Tensor:
    if target is None:
        raise ValueError(f"The score {name!r} needs a target; give one, or use 'log_prob_sum' or 'predicted_logit'.")
    return target
