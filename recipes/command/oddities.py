"""Chooses the marked images that somebody should look at first."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor


class Seen(NamedTuple):
    """A description of one image's marks.

    Attributes:
        number: The image's index.
        path: The image's path.
        spurious: The share of the pixels that are marked spurious, in [0, 1].
        relevant: The share that is marked relevant, likewise.
        border: The share of the image's border that is marked, in [0, 1].
        both: Whether some place is marked as both.
    """

    number: int
    path: str
    spurious: float
    relevant: float
    border: float
    both: bool

    @property
    def share(self) -> float:
        """The marked share of the pixels."""
        return self.spurious + self.relevant


def seen(number: int, path: str, drawn: Tensor, both: bool) -> Seen:
    """Describe an annotation ``(1, H, W)`` or ``(1, D, H, W)``."""
    marks = drawn[0] != 0
    edges = [marks.select(axis, end) for axis in range(marks.ndim) for end in (0, -1)]
    border = sum(int(edge.sum()) for edge in edges) / sum(edge.numel() for edge in edges)
    return Seen(number, path, float((drawn < 0).float().mean()), float((drawn > 0).float().mean()), border, both)


def most_odd(marked: Sequence[Seen], most: int) -> list[tuple[int, str]]:
    """The indices of the images to show, each with the reason: images with places marked as both, then in turn those with the
    largest marks, the smallest and those at the border, for up to three quarters of the sheet; then some from all parts of the
    folder.

    Example:
        >>> images = [Seen(number, "", share, 0.0, 0.0, False) for number, share in enumerate((0.1, 0.9, 0.2))]
        >>> most_odd(images, 2)
        [(1, '90% marked: among the largest'), (0, '10% marked')]
    """
    chosen: dict[int, str] = {}
    odd = max(1, 3 * most // 4)
    for one in marked:
        if one.both and len(chosen) < odd:
            chosen[one.number] = f"{_percent(one)}: both signs"
    ranks: tuple[tuple[str, Callable[[Seen], float], Callable[[Seen], bool]], ...] = (
        ("among the largest", lambda one: -one.share, lambda one: True),
        ("among the smallest", lambda one: one.share, lambda one: True),
        ("at the border", lambda one: -one.border, lambda one: one.border > 0),
    )
    queues = [(name, iter(sorted(filter(fits, marked), key=key))) for name, key, fits in ranks]
    while len(chosen) < min(odd, len(marked)) and queues:
        for name, queue in list(queues):
            found = next((one for one in queue if one.number not in chosen), None)
            if found is None:
                queues.remove((name, queue))
            elif len(chosen) < odd:
                chosen[found.number] = f"{_percent(found)}: {name}"
    left = [one for one in marked if one.number not in chosen]
    wanted = most - len(chosen)
    for one in left[:: max(1, -(-len(left) // max(wanted, 1)))][:wanted]:
        chosen[one.number] = _percent(one)
    return list(chosen.items())


def _percent(one: Seen) -> str:
    return f"{100 * one.share:.3g}% marked"
