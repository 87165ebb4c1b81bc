"""Logits for many places: which axis holds the classes, and which target belongs to which place, read off the loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from salreg.taps.loss_graph import Link, between, node_of, operator

#: The class of a place without a label, which losses ignore.
NO_LABEL = -100
_ROWS = 16  # the number compared with what the loss saw


@dataclass(frozen=True)
class Layout:
    """How a model's logits for many places are brought to ``(B, C, P)``: classes first, one column per place.

    Attributes:
        link: ``tokens``: a softmax at every place; ``span``: two over the places of a text, for an answer's start and end.
        axis: The axis of the classes in the model's output ``(B, P, C)`` or ``(B, C, P)``.
        cut: Whether the last place is compared with nothing, as when a step drops it to predict the next token.
        ignored: The class that the loss ignores.
    """

    link: Link
    axis: int
    cut: bool = False
    ignored: int = NO_LABEL

    def of(self, outputs: Sequence[Tensor]) -> Tensor:
        """The logits ``(B, C, P)``, a view of the model's output; the two outputs ``(B, T)`` of a span are stacked."""
        if len(outputs) > 1:
            return torch.stack(list(outputs), -1)
        logits = outputs[0].movedim(self.axis, 1)
        return logits[..., :-1] if self.cut else logits

    def target_in(self, loss: Tensor, outputs: Sequence[Tensor]) -> Tensor | None:
        """The targets ``(B, P)`` that the loss compares the places with, ``NO_LABEL`` where it ignores them; None if its
        operators keep none."""
        logits = self.of(outputs)
        terms = _of_span(loss, outputs) if self.link == "span" else _terms(loss, outputs[0])
        held = [one.target for one in terms if one.target is not None]
        if len(held) != (2 if self.link == "span" else 1):
            return None
        return torch.stack(held, -1) if self.link == "span" else held[0].view(len(logits), logits.shape[2])


class _Term(NamedTuple):
    """A softmax that a loss takes of logits: its log-probabilities ``(N, C)`` and the target classes ``(N,)``."""

    log_probabilities: Tensor
    target: Tensor | None
    ignored: int = NO_LABEL


def read_layout(loss: Tensor, outputs: Sequence[Tensor]) -> Layout | None:
    """How logits for many places are laid out; None if they are one per sample, or if the loss does not show it.

    Args:
        loss: The loss that the step returned.
        outputs: The model's outputs: logits ``(B, ., .)``, or those of the start and the end, each ``(B, T)``.
    """
    if len(outputs) == 2 or (outputs[0].ndim == 3 and outputs[0].shape[2] == 2 and len(_terms(loss, outputs[0])) == 2):
        return Layout("span", 1) if _of_span(loss, outputs) else None
    (output,) = outputs
    terms = _terms(loss, output) if output.ndim == 3 else []
    if len(terms) != 1:
        return None
    seen = terms[0].log_probabilities
    found = [
        Layout("tokens", axis, cut, terms[0].ignored)
        for axis in (2, 1)
        for cut in (False, True)
        if output.shape[axis] == seen.shape[1] and _agree(seen, output.movedim(axis, 2), cut)
    ]
    return found[0] if len(found) == 1 else None


def asks_differently(loss: Tensor, output: Tensor) -> bool:
    """Whether a loss compares parts of an output with different targets."""
    targets = [one.target for one in _terms(loss, output) if one.target is not None]
    return any(one.shape != targets[0].shape or not torch.equal(one, targets[0]) for one in targets[1:])


def reads_other_numbers(loss: Tensor, output: Tensor) -> bool:
    """Whether a loss reads as many logits as an output ``(B, ., .)`` has, but with other values: scaled or masked ones."""
    terms = _terms(loss, output)
    if len(terms) != 1:
        return False
    count, classes = terms[0].log_probabilities.shape
    places = [output.shape[3 - axis] for axis in (1, 2) if output.shape[axis] == classes]
    return any(count in (len(output) * one, len(output) * (one - 1)) for one in places)


def _terms(loss: Tensor, output: Tensor) -> list[_Term]:
    """The softmaxes over several classes that a loss takes of an output, without duplicates."""
    nodes: list[Any] = between(loss, node_of(output))
    compared = [node for node in nodes if operator(node).startswith("NllLoss")]
    if compared:
        return [_Term(_rows(node._saved_self, 1), *_classes(node)) for node in compared]
    taken = [node for node in nodes if operator(node) == "LogSoftmax"]
    return [_Term(_rows(node._saved_result, node._saved_dim), None) for node in taken]


def _of_span(loss: Tensor, outputs: Sequence[Tensor]) -> list[_Term]:
    """The terms of the start and of the end, in this order; empty if they cannot be told apart."""
    if len(outputs) == 2:
        both = [_terms(loss, one) for one in outputs]
        return [terms[0] for terms in both] if all(len(terms) == 1 for terms in both) else []
    terms, (output,) = _terms(loss, outputs[0]), outputs
    orders = [
        [terms[first], terms[1 - first]]
        for first in (0, 1)
        if all(
            _agree(terms[term].log_probabilities, output[..., place].unsqueeze(1), False)
            for place, term in enumerate((first, 1 - first))
        )
    ]
    return orders[0] if len(orders) == 1 else []


def _rows(values: Tensor, axis: int) -> Tensor:
    return values.detach().movedim(_signed(axis), -1).flatten(0, -2)


def _classes(node: Any) -> tuple[Tensor, int]:
    """The target classes of a loss, ``NO_LABEL`` where it ignores them, and the class that it ignores."""
    target, ignored = node._saved_target.flatten(), _signed(node._saved_ignore_index)
    return target.masked_fill(target == ignored, NO_LABEL), ignored


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number  # autograd saves some of them as unsigned


def _agree(seen: Tensor, output: Tensor, cut: bool) -> bool:
    """Whether the log-probabilities that a loss saw are those of an output ``(B, P, C)``, place by place."""
    count = output.shape[1] - cut
    if count < 1 or len(seen) != len(output) * count:
        return False
    rows = torch.linspace(0, len(seen) - 1, min(len(seen), _ROWS), device=seen.device).long()
    values = output.detach()[rows // count, rows % count].to(torch.promote_types(seen.dtype, torch.float32))
    return torch.allclose(values.log_softmax(-1), seen[rows].to(values), rtol=1e-4, atol=1e-3)
