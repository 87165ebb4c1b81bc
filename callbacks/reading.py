"""What a training step's loss says of the batch: which tensor holds the targets, and how the logits become probabilities."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from salreg.scores import Sequence
from salreg.taps import Found, place_of, tensors_in
from salreg.taps.layout import NO_LABEL, Layout
from salreg.taps.loss_graph import Link

_AGREES = 1e-4
#: Where Hugging Face's models get the labels of places, and those of an answer's start and end.
LABELS, STARTS, ENDS = "labels", "start_positions", "end_positions"


@dataclass(frozen=True)
class Reading:
    """Read off the graph behind a loss; certain as far as it goes.

    Attributes:
        link: Softmax, sigmoid or regression, tokens or span; None where the loss does not tell.
        target_index: Which of the batch's tensors the loss compares the logits with; None where it is made of something else.
        target_place: Where that tensor lies, as one would write it.
        has_target: Whether the loss keeps its targets at all.
        layout: Where classes and places of the logits lie, where there are many places.
        shifted: Whether a place is compared with the label of the next one, as in a model that predicts the next token.
        end_index: Of a span, the tensor that holds its ends; ``target_index`` is that of its starts.
    """

    link: Link | None = None
    target_index: int | None = None
    target_place: str | None = None
    has_target: bool = False
    layout: Layout | None = None
    shifted: bool = False
    end_index: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing more to learn."""
        return self.link is not None

    @property
    def is_made_of_loss(self) -> bool:
        """Whether a step's own loss says best what its targets are: it makes them itself, or lays them out by places."""
        return self.layout is not None or (self.has_target and self.target_index is None)

    @classmethod
    def of(cls, found: Found, sample: Any, logits: Tensor | None = None, loss: Tensor | None = None) -> "Reading":
        """What a search has found, put in terms of the batch.

        Args:
            found: By the search.
            sample: The batch.
            logits: What the search found, and the ``loss`` of the step: where that keeps no targets, the labels of places are
                those with which it agrees to 1e-4.
        """
        if found.layout is not None:
            return _of_places(found, found.layout, sample, logits, loss)
        if found.target is None:
            return cls(found.link)
        for index, tensor in enumerate(tensors_in(sample)):
            if _are_the_targets(tensor, found.target):
                return cls(found.link, index, f"batch{place_of(sample, tensor)}", True)
        return cls(found.link, has_target=True)

    def labels(self, given: Tensor, end: Tensor | None = None) -> Tensor:
        """The targets ``(B, P)`` of places from the tensors that hold them in a batch."""
        assert self.layout is not None
        if end is not None:
            return torch.stack([given.reshape(-1), end.reshape(-1)], -1)
        return _laid_out(given, self.layout, self.shifted)


def _of_places(found: Found, layout: Layout, sample: Any, logits: Tensor | None, loss: Tensor | None) -> Reading:
    reading = Reading(found.link, has_target=found.target is not None, layout=layout)
    tensors = tensors_in(sample)
    whole = [(index, tensors[index]) for index in _labels_first(sample, tensors) if not tensors[index].is_floating_point()]
    if layout.link == "span":
        if found.target is None:
            return reading
        both = [[index for index, one in whole if _is_column(one, column)] for column in found.target.unbind(-1)]
        if not all(both):
            return reading
        index, end = both[0][0], both[1][0]
        place = " and ".join(f"batch{place_of(sample, tensors[one])}" for one in (index, end))
        return Reading(found.link, index, place, True, layout, end_index=end)
    fitting = [
        (index, shifted)
        for index, one in whole
        for shifted in (False, True)
        if _fits(_laid_out(one, layout, shifted), found.target, logits, loss)
    ]
    if not fitting or (found.target is None and not _all_equal([_laid_out(tensors[i], layout, by) for i, by in fitting])):
        return reading
    index, shifted = fitting[0]
    return Reading(found.link, index, f"batch{place_of(sample, tensors[index])}", True, layout, shifted)


def _all_equal(several: list[Tensor]) -> bool:
    """Whether it makes no difference which of them is taken, as where a text is its own label."""
    return all(torch.equal(one, several[0]) for one in several)


def _labels_first(sample: Any, tensors: list[Tensor]) -> Iterator[int]:
    """The numbers of a batch's tensors, that of its labels first: those of a language model may be its token numbers, too."""
    labels = sample.get(LABELS) if isinstance(sample, Mapping) else None
    yield from sorted(range(len(tensors)), key=lambda index: tensors[index] is not labels)


def _laid_out(labels: Tensor, layout: Layout, shifted: bool) -> Tensor:
    """Labels as the loss compares them with the places of the logits, ``NO_LABEL`` where it ignores them."""
    labels = labels.masked_fill(labels == layout.ignored, NO_LABEL)
    if labels.ndim != 2:
        return labels
    labels = pad(labels[:, 1:], (0, 1), value=NO_LABEL) if shifted else labels
    return labels[:, :-1] if layout.cut else labels


def _fits(labels: Tensor, target: Tensor | None, logits: Tensor | None, loss: Tensor | None) -> bool:
    if target is not None:
        return labels.shape == target.shape and torch.equal(labels.clamp(min=NO_LABEL), target.to(labels))
    if logits is None or loss is None or labels.shape != (len(logits), logits.shape[2]) or not bool((labels >= 0).any()):
        return False
    if bool((labels >= logits.shape[1]).any()):
        return False
    counts = (labels >= 0).sum(1)
    own = -(Sequence(axis=1)(logits.detach(), labels) * counts).sum() / counts.sum()
    return bool((own - loss.detach()).abs() <= _AGREES * own.abs())


def _is_column(tensor: Tensor, column: Tensor) -> bool:
    """Whether a tensor of the batch holds these places, of which the loss ignores those that lie behind the text."""
    if tensor.numel() != len(column):
        return False
    same = tensor.reshape(-1).to(column) == column
    return bool((same | (column < 0)).all()) and bool(same.any())


def _are_the_targets(tensor: Tensor, target: Tensor) -> bool:
    """Whether the loss got this tensor, whatever it was converted to on the way."""
    return tensor.numel() == target.numel() and torch.equal(tensor.reshape(-1).to(target), target.reshape(-1))
