"""What is explained: one number per sample, made from the logits.

A score is any callable ``(logits (B, C), target (B,) or None) -> (B,)``, or the name of one of these functions.
A model with a single logit per sample, ``(B,)`` or ``(B, 1)``, is read as two classes with logits ``-z/2`` and ``z/2``,
whose softmax is the sigmoid of ``z``.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from salreg.names import nearest

Score = Callable[[Tensor, Tensor | None], Tensor]


def log_prob_sum(logits: Tensor, target: Tensor | None = None) -> Tensor:
    """Sum of the log-probabilities of all classes; needs no target (Ross et al. 2017, eq. 1).

    Its gradient vanishes where all classes are equally likely, and not where the model is sure.

    Example:
        >>> log_prob_sum(torch.zeros(1, 2)).item()  # 2 log(1/2)
        -1.3862943649291992
    """
    return log_softmax(logits, dim=1).sum(1)


def target_logit(logits: Tensor, target: Tensor | None) -> Tensor:
    """The logit of the true class."""
    return logits.gather(1, _required(target, "target_logit").long().view(-1, 1)).squeeze(1)


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
    """Cross-entropy of each sample; its gradient fades as the model becomes sure of the true class."""
    return cross_entropy(logits, _required(target, "task_loss").long().view(-1), reduction="none")


NAMED: dict[str, Score] = {
    score.__name__: score for score in (log_prob_sum, target_logit, predicted_logit, contrast, task_loss)
}


def resolve(score: str | Score) -> Score:
    """The score of that name, or the callable itself."""
    if callable(score):
        return score
    if score not in NAMED:
        raise ValueError(f"No score is called {score!r}{nearest(score, NAMED)}. There are: {', '.join(NAMED)}.")
    return NAMED[score]


def evaluate(score: Score, logits: Tensor, target: Tensor | None) -> Tensor:
    """Apply a score in at least single precision: ``(B,)``.

    Raises:
        ValueError: The logits are not one row per sample, or the score does not give one number per sample.
    """
    values = score(one_row_per_sample(logits), target)
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
            f"The model's output has shape {tuple(logits.shape)}; logits are (B, classes), or (B,) for two classes."
        )
    return logits


def _required(target: Tensor | None, name: str) -> Tensor:
    if target is None:
        raise ValueError(f"The score {name!r} needs a target; give one, or use 'log_prob_sum' or 'predicted_logit'.")
    return target
