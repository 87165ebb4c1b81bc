"""Carries marks of words over: builds a lexicon with counts for you to confirm, and marks texts with it."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from salreg import checks
from salreg.annotations import NO_PLACE, SPURIOUS, UNKNOWN, check
from salreg.propagation.quality import PropagationError

PRECISION = 0.9


class Entry(NamedTuple):
    """A word that somebody marked as spurious.

    Attributes:
        word: A word or a token number.
        marked: How often it is marked as spurious.
        unmarked: How often it occurs unmarked in texts that somebody looked at.
        unseen: How often it occurs in texts that nobody looked at.
    """

    word: Hashable
    marked: int
    unmarked: int
    unseen: int

    @property
    def precision(self) -> float:
        """The share of its occurrences in texts that somebody looked at where it is marked."""
        return self.marked / (self.marked + self.unmarked)


def lexicon_of(texts: Sequence[Sequence[Hashable]], annotations: Sequence[Tensor | None]) -> list[Entry]:
    """The words that are marked as spurious anywhere, most frequently marked first.

    Args:
        texts: Texts of words or of token numbers.
        annotations: One ``(T,)`` per text, with values in [-1, 1] and ``NO_PLACE``; None if nobody looked.

    Raises:
        ValueError: There are not as many annotations as texts, or an annotation is not as long as its text or has
            other values.

    Example:
        >>> texts = [["a", "video", "of", "a", "cat"], ["video"], ["good", "video"]]
        >>> lexicon_of(texts, [torch.tensor([0, -1, 0, 0, 0]), torch.tensor([0]), None])
        [Entry(word='video', marked=1, unmarked=1, unseen=1)]
    """
    annotations = _checked(texts, annotations)
    marked: Counter[Hashable] = Counter()
    unmarked: Counter[Hashable] = Counter()
    unseen: Counter[Hashable] = Counter()
    for text, annotation in zip(texts, annotations, strict=True):
        if annotation is None:
            unseen.update(_words(text))
            continue
        for word, mark in zip(_words(text), annotation.tolist(), strict=True):
            if mark < 0:
                marked[word] += 1
            elif mark != NO_PLACE:
                unmarked[word] += 1
    entries = [Entry(word, count, unmarked[word], unseen[word]) for word, count in marked.items()]
    return sorted(entries, key=lambda entry: (-entry.marked, entry.unmarked, str(entry.word)))


def marked_by(
    texts: Sequence[Sequence[Hashable]], annotations: Sequence[Tensor | None], words: Iterable[Hashable]
) -> list[Tensor]:
    """Mark confirmed words as spurious in the texts that nobody looked at.

    Args:
        texts: Texts of words or of token numbers.
        annotations: One ``(T,)`` per text; None if nobody looked.
        words: The confirmed words.

    Returns:
        One ``(T,)`` per text: the person's annotation if somebody looked, otherwise ``int8``.

    Raises:
        ValueError: There are not as many annotations as texts, or an annotation is not as long as its text or has
            other values.

    Example:
        >>> marked_by([[7, 3], [3, 7, 9]], [torch.tensor([-1, 0]), None], {7})[1].tolist()
        [0, -1, 0]
    """
    annotations = _checked(texts, annotations)
    confirmed = set(words)
    return [
        torch.tensor([SPURIOUS if word in confirmed else UNKNOWN for word in _words(text)], dtype=torch.int8)
        if annotation is None
        else annotation
        for text, annotation in zip(texts, annotations, strict=True)
    ]


def propagate_words(
    texts: Sequence[Sequence[Hashable]], annotations: Sequence[Tensor | None], precision: float = PRECISION
) -> tuple[list[Tensor], list[Entry]]:
    """Carry spurious marks of words over to the texts that nobody looked at.

    Words are compared exactly: convert them to lower case first if case should not matter. To leave out entries that are wrong,
    mark the texts with the others through ``marked_by``.

    Args:
        texts: Texts of words, or of token numbers (a sequence or a tensor).
        annotations: One ``(T,)`` per text; None if nobody looked.
        precision: The share, in [0, 1], of a word's occurrences in texts that somebody looked at that have to be marked.

    Returns:
        The annotations of all texts, and the whole lexicon.

    Raises:
        PropagationError: No word is marked, or none is marked that consistently.
        ValueError: There are not as many annotations as texts, or an annotation is not as long as its text or has
            other values.

    Example:
        >>> texts = [["a", "video"], ["the", "video"], ["video", "a"]]
        >>> found, entries = propagate_words(texts, [torch.tensor([0, -1]), None, None])
        >>> [annotation.tolist() for annotation in found]
        [[0, -1], [0, -1], [-1, 0]]
    """
    checks.number("[0, 1]", precision=precision)
    entries = lexicon_of(texts, annotations)
    if not entries:
        raise PropagationError("No word is marked as spurious, so there is nothing to carry over.")
    sure = [entry for entry in entries if entry.precision >= precision]
    if not sure:
        best = max(entries, key=lambda entry: entry.precision)
        raise PropagationError(
            f"No word is marked in {precision:.0%} of its places: {best.word!r} comes nearest, marked in {best.marked} of "
            f"{best.marked + best.unmarked}. Lower the precision, or mark it wherever it stands."
        )
    return marked_by(texts, annotations, (entry.word for entry in sure)), entries


def _words(text: Sequence[Hashable]) -> list[Hashable]:
    return text.tolist() if isinstance(text, Tensor) else list(text)


def _checked(texts: Sequence[Sequence[Hashable]], annotations: Sequence[Tensor | None]) -> list[Tensor | None]:
    if len(texts) != len(annotations):
        raise ValueError(
            f"There are {len(texts)} texts, but {len(annotations)} annotations; pass None for a text that nobody looked at."
        )
    found = [None if one is None else torch.as_tensor(one) for one in annotations]
    for index, (text, annotation) in enumerate(zip(texts, found, strict=True)):
        if isinstance(text, str):
            raise ValueError(f"Text {index} is one string, not a list of words: use text.split().")
        if annotation is None:
            continue
        if tuple(annotation.shape) != (len(text),):
            raise ValueError(f"Text {index} has {len(text)} words, but its annotation has shape {tuple(annotation.shape)}.")
        check(annotation, f"The annotation of text {index}")
    return found
