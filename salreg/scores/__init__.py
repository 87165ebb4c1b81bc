"""Scores: the number per sample, computed from the logits, that an attribution explains.

A score is any callable ``(logits (B, C), target (B,) or None) -> (B,)``, or the name of one of the functions in ``classes``.
Logits for every place are scored by ``Dense``, ``Sequence`` or ``Span``, which apply a score of classes at each place. A
callable with an attribute ``dense = True`` gets such logits unchanged: ``(B, C, P)``, if the loss shows their layout, with a
target ``(B, P)``.
"""

import torch
from torch import Tensor

from salreg.scores.classes import (
    NAMED,
    Score,
    contrast,
    labels,
    log_prob_sum,
    one_row_per_sample,
    predicted_logit,
    resolve,
    target_log_prob,
    target_logit,
    task_loss,
)
from salreg.scores.places import Dense, Sequence, Span, classes_in_front, for_link, over_places

__all__ = [
    "NAMED",
    "Dense",
    "Score",
    "Sequence",
    "Span",
    "classes_in_front",
    "contrast",
    "evaluate",
    "labels",
    "log_prob_sum",
    "one_row_per_sample",
    "over_places",
    "predicted_logit",
    "resolve",
    "target_log_prob",
    "target_logit",
    "task_loss",
]


def evaluate(score: Score, logits: Tensor, target: Tensor | None, link: str | None = None) -> Tensor:
    """Apply a score in at least single precision: ``(B,)``.

    Args:
        score: The score to apply.
        logits: The network's output.
        target: True classes, for scores that need them.
        link: How the training loss reads the logits, if known. The output of a ``"regression"`` has no probabilities, so its
            sum over a sample's values is the score. The ``log_prob_sum`` of a ``"sigmoid"`` treats the columns as independent
            labels, whatever the target is. Logits ``(B, C, P)`` of ``"tokens"`` are scored at their labelled places
            (``Sequence``), those of a ``"span"`` at its start and end (``Span``).

    Raises:
        ValueError: The logits do not have one row per sample, or the score does not return one number per sample.
    """
    if link == "regression":
        return logits.reshape(len(logits), -1).sum(1, dtype=torch.promote_types(logits.dtype, torch.float32))
    score = for_link(score, link)
    if link == "span" and target is not None and target.numel() != 2 * len(logits):
        raise ValueError(
            f"A span has two targets, its start and its end, (B, 2); a target of shape {tuple(target.shape)} does not fit."
        )
    values = score(logits if getattr(score, "dense", False) else one_row_per_sample(logits), target)
    if values.shape != logits.shape[:1]:
        raise ValueError(
            f"The score {getattr(score, '__name__', score)} gave shape {tuple(values.shape)} for {logits.shape[0]} "
            "samples; it must give one number per sample, shape (B,)."
        )
    return values
