"""What is wrong with single annotations of a file: named, skipped and counted, rather than the end of everything."""

from collections.abc import Iterable
from typing import NamedTuple

_EXAMPLES = 3  # of each kind


class BadShape(ValueError):
    """A shape that means nothing certain.

    Args:
        kind: What such shapes have in common, in a few words.
        reason: What is wrong with this one.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class SkippedAnnotations(UserWarning):
    """Some annotations of a file were left out; the others count."""


class Problem(NamedTuple):
    """One annotation, image or mask that was left out.

    Attributes:
        file: That it stands in.
        image: The image's name as the file has it; empty where it has none.
        id: What the file calls the annotation, or its number from 0; empty where the whole image is meant.
        kind: What it has in common with others.
        reason: What is wrong with it.
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
    """A line for each kind, the most frequent first, with three examples.

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
