"""The marks of one image in a file, kept compact until they are drawn."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from salreg.readers.mask_volumes import MaskVolume
from salreg.readers.problems import BadShape, Problem
from salreg.readers.shapes import MOST_PIXELS, AnySize, Shape, Size

Side = Literal["spurious", "relevant"]
SIDES: tuple[Side, ...] = ("spurious", "relevant")


class Regions(Protocol):
    """The marked regions of one image."""

    def draw(self, size: Any) -> Tensor:
        """The annotation ``(1, H, W)``, int8, in the size that the file states; in ``size`` (H, W) if it states none. For
        volumes it is ``(1, D, H, W)``.

        It is all zeros if somebody looked at the image and marked nothing.
        """


class Mark(NamedTuple):
    """One annotation: its side, its id in the file, and its shape."""

    side: Side
    label: str
    id: str
    shape: Shape


class Drawn(NamedTuple):
    """An annotation ``(1, H, W)`` or ``(1, D, H, W)``, int8, and the marks that could not be drawn."""

    annotation: Tensor
    problems: list[Problem]


@dataclass(slots=True, eq=False)
class ImageMarks:
    """The marks of one image.

    Attributes:
        file: The file that contains them.
        name: The image's name in the file.
        size: ``(H, W)`` stated in the file; None if it states none.
        marks: The marks; empty if somebody looked and marked nothing.
        skipped: The number of marks skipped when the file was read; if there were any, an image without other marks does not
            count as empty.
        strict: Whether a mark that cannot be drawn raises an error.
    """

    file: str
    name: str
    size: Size | None = None
    marks: list[Mark] = field(default_factory=list)
    skipped: int = 0
    strict: bool = False

    def draw(self, size: AnySize) -> Tensor:
        """See ``Regions``.

        Raises:
            ValueError: A mark cannot be drawn or is outside the image, a place is marked as both, or there are more than 268
                million pixels.
        """
        drawn = self.drawn(self.stated_size() or size)
        if drawn.problems:
            raise ValueError(f"{drawn.problems[0]}.")
        return drawn.annotation

    def stated_size(self) -> AnySize | None:
        """``(H, W)`` that the file states, or that the mask image has; ``(D, H, W)`` of a mask of a volume."""
        return self.size or next((size for mark in self.marks if (size := mark.shape.own_size)), None)

    def drawn(self, size: AnySize, frame: AnySize | None = None) -> Drawn:
        """The annotation of the image, at any size.

        A place that is marked as both stays unknown.

        Args:
            size: ``(H, W)`` to draw at; for a volume ``(D, H, W)``.
            frame: The size of the annotated image; by default the same.

        Raises:
            ValueError: More than 268 million pixels. With ``strict``: a mark that cannot be drawn, or lies outside the image,
                or a place that is marked as both.
        """
        if math.prod(size) > MOST_PIXELS:
            raise ValueError(f"{self.file}, image {self.name!r}: {' x '.join(map(str, size))} pixels are too many to draw.")
        problems: list[Problem] = []
        sides = {side: np.zeros(size, np.uint8) for side in SIDES if any(mark.side == side for mark in self.marks)}
        for mark in self.marks:
            try:
                if len(size) == 3 and not isinstance(mark.shape, MaskVolume):
                    raise BadShape("flat", "it is flat, but its image is a volume, for which only masks are supported")
                if not mark.shape.cover(sides[mark.side], frame or size):
                    raise BadShape("outside the image", f"it is outside the image of size {written(frame or size)}")
            except BadShape as error:
                problems.append(Problem(self.file, self.name, mark.id, error.kind, str(error)))
        if len(sides) == 2 and (both := (sides["spurious"] & sides["relevant"]).astype(bool)).any():
            reason = f"{both.sum()} places are marked both spurious and relevant; they stay unknown"
            problems.append(Problem(self.file, self.name, "", "both spurious and relevant", reason))
            for canvas in sides.values():
                canvas[both] = 0
        if problems and self.strict:
            raise ValueError(f"{problems[0]}.")
        return Drawn(_signed(sides, size), problems)


def written(size: AnySize) -> str:
    """A size in words.

    Example:
        >>> written((2, 3)), written((4, 2, 3))
        ('(H, W) = (2, 3)', '(D, H, W) = (4, 2, 3)')
    """
    return f"{'(H, W)' if len(size) == 2 else '(D, H, W)'} = {tuple(size)}"


def _signed(sides: Mapping[Side, np.ndarray], size: AnySize) -> Tensor:
    """-1 and +1 in place of each side's bytes; no further memory."""
    if not sides:
        return torch.zeros(1, *size, dtype=torch.int8)
    drawn = {side: torch.from_numpy(canvas.view(np.int8)).unsqueeze(0) for side, canvas in sides.items()}
    if len(drawn) == 2:
        return drawn["relevant"].sub_(drawn["spurious"])
    return drawn["relevant"] if "relevant" in drawn else drawn["spurious"].neg_()


def check_sides(sides: Mapping[str, Side]) -> None:
    """Raise a ``ValueError`` that names a category which is neither spurious nor relevant."""
    for name, side in sides.items():
        if side not in SIDES:
            raise ValueError(f"{name!r} must be spurious or relevant, not {side!r}.")


def files_below(folder: Path) -> list[Path]:
    """The paths, below a folder, of everything in it, in order. Links that leave it are not followed."""
    root = folder.resolve()
    return [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.resolve().is_relative_to(root)]
