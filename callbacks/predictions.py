"""What a model predicts: one class a sample, one for each of its labelled tokens, or where an answer starts and ends."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from salreg.callbacks.monitoring import Chunk
from salreg.metrics.functional.predictions import NO_CLASS, predicted_classes
from salreg.metrics.functional.regression import output_rows
from salreg.taps import Recording

#: Stands where a sample has fewer cases than others.
ABSENT = -2


class Predictions(NamedTuple):
    """Classes of the K cases of each sample, which are in the same order after an intervention.

    Attributes:
        classes: ``(B, K)``; ``NO_CLASS`` where the logits are NaN, ``ABSENT`` where there is no such case.
        target: The true ones ``(B, K)``; None where they are not known, or no classes.
        output: Of a regression, floating point ``(B, N)``, which has no cases; None of classes.
    """

    classes: Tensor
    target: Tensor | None
    output: Tensor | None = None


def predicted(recording: Recording, samples: Chunk) -> Predictions:
    """What a model predicts for some samples.

    A sample is one case: its class, or a number for the set of its labels. With logits for many tokens, each token with a label
    and without a spurious mark is a case; without labels, or for a regression, there is none. The start and end of an answer
    are two cases, given by the number of unmarked words before them, which does not change when marked words are inserted or
    removed.
    """
    logits = recording.require_logits().detach()
    if recording.link == "regression":
        return Predictions(
            torch.zeros(len(logits), 0, dtype=torch.long, device=logits.device), None, output_rows(logits).float()
        )
    if recording.link == "tokens":
        return _of_tokens(logits, samples)
    if recording.link == "span":
        annotation = recording.without_padding(samples.annotation.to(logits.device))
        target = samples.target if samples.target is not None and samples.target.shape == (len(logits), 2) else None
        return Predictions(
            _in_words(_classes(logits), annotation), None if target is None else _in_words(target.to(logits.device), annotation)
        )
    classes, target = _of_sample(recording.link, logits), samples.target
    of_sets = recording.link == "sigmoid" and logits.shape[1:].numel() > 1  # of labels, which no class can be compared with
    if recording.link == "sigmoid" and not of_sets and target is not None:
        target = _of_two_classes(target)
    fits = not of_sets and target is not None and target.shape == classes.shape and not target.is_floating_point()
    return Predictions(classes.unsqueeze(1), target.unsqueeze(1) if fits and target is not None else None)


def joined(parts: Sequence[Predictions]) -> Predictions:
    """The predictions of several batches."""
    most = max(one.classes.shape[1] for one in parts)
    targets = [filled(one.target, most) for one in parts if one.target is not None]
    classes = torch.cat([filled(one.classes, most) for one in parts])
    outputs = [one.output for one in parts if one.output is not None]
    target = torch.cat(targets) if len(targets) == len(parts) else None
    return Predictions(classes, target, torch.cat(outputs) if outputs else None)


def filled(cases: Tensor, count: int) -> Tensor:
    """As many cases ``(B, count)``, those that are not there ``ABSENT``."""
    return pad(cases, (0, count - cases.shape[1]), value=ABSENT)


def _of_two_classes(target: Tensor) -> Tensor:
    """Integers ``(B,)``, of what binary cross-entropy wants as numbers of the logits' shape; probabilities stay as they are."""
    flat = target.flatten() if target.shape[1:].numel() == 1 else target
    return flat.long() if bool(((flat == 0) | (flat == 1)).all()) else flat


def _of_sample(link: str | None, logits: Tensor) -> Tensor:
    if link != "sigmoid" or logits.ndim != 2 or logits.shape[1] == 1:
        return predicted_classes(logits)
    factors = torch.randint(2**62, (logits.shape[1],), generator=torch.Generator().manual_seed(0)).to(logits.device)
    sets = ((logits > 0) * factors).sum(1) & (2**62 - 1)  # as good as one number for each set
    return sets.masked_fill(logits.isnan().any(1), NO_CLASS)


def _classes(logits: Tensor) -> Tensor:
    """Of every place ``(B, P)``, from logits ``(B, C, P)``."""
    return logits.argmax(1).masked_fill(logits.isnan().any(1), NO_CLASS)


def _of_tokens(logits: Tensor, samples: Chunk) -> Predictions:
    labels = samples.target
    if labels is None or labels.shape != (len(logits), logits.shape[2]):
        return Predictions(torch.zeros(len(logits), 0, dtype=torch.long, device=logits.device), None)
    labels = labels.to(logits.device)
    cases = labels >= 0
    if samples.marked_labels is not None:
        cases &= ~samples.marked_labels.to(logits.device)
    order = cases.int().argsort(dim=1, descending=True, stable=True)[:, : int(cases.sum(1).max())]
    absent = ~cases.gather(1, order)
    return Predictions(*(one.gather(1, order).masked_fill(absent, ABSENT) for one in (_classes(logits), labels)))


def _in_words(places: Tensor, annotation: Tensor) -> Tensor:
    """Places ``(B, 2)`` of a text as numbers that do not change when marked words come and go: how many words are in front,
    and whether there is one, none or a marked one."""
    word, marked = annotation.abs() <= 1, annotation < 0
    number = 3 * (word & ~marked).cumsum(1) + torch.where(marked, 2, word.long())
    inside = (places >= 0) & (places < annotation.shape[1])
    return torch.where(inside, number.gather(1, places.clamp(0, annotation.shape[1] - 1)), places.clamp(max=-1))
