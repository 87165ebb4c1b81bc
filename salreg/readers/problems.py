"""Faults of single annotations in a file: they are named, skipped and counted, and do not stop the reading."""

from collections.abc import Iterable
from typing import NamedTuple

_EXAMPLES = 3  # of each kind


class BadShape(ValueError):
    """A shape has no clear meaning.

    Args:
        kind: A few words that describe all shapes with this fault.
        reason: What is wrong with this one.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def no_area(kind: object, what: str = "a shape") -> BadShape:
    """What a format knows and cannot be drawn, such as a point: ``what`` of such a kind."""
    return BadShape("no area", f"{what} of the kind {kind!r} has no area that could be drawn")


class SkippedAnnotations(UserWarning):
    """Some annotations of a file were skipped; the others count."""


class Problem(NamedTuple):
    """One annotation, image or mask that was skipped.

    Attributes:
        file: The file that contains it.
        image: The image's name in the file; empty if it has none.
        id: The annotation's id in the file, or its number from 0; empty if the whole image is meant.
        kind: The kind of fault.
        reason: The fault of this one.
    """

    file: str
    image: str
    id: str
    kind: str
    reason: str

    def __str__(self) -> str:
        where = [self.file, f"image {self.image!r}" if self.image else "", f"annotation {self.id}" if self.id else ""]
        return f"{', '.join(part for part in where if part)}: {self.reason}"


def by_kind(problems: Iterable[Problem]) -> list[str]:
    """One line per kind of fault, the most frequent first, with three examples.

    Example:
        >>> by_kind([Problem("a.json", "003.jpg", "7", "no number", "x is nan")])
        ["1 skipped, no number: a.json, image '003.jpg', annotation 7: x is nan"]
    """
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(problem)
    return [
        f"{len(alike)} skipped, {kind}: {'; '.join(map(str, alike[:_EXAMPLES]))}{'; ...' if len(alike) > _EXAMPLES else ''}"
        for kind, alike in sorted(kinds.items(), key=lambda item: -len(item[1]))
    ]
