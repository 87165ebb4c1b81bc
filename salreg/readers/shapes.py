"""Shapes that were checked before anything draws them; ``salreg.readers.checked`` makes them."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np

from salreg.readers.problems import BadShape
from salreg.readers.raster import Canvas, fill, touch

Size = tuple[int, int]  # (H, W)
AnySize = tuple[int, ...]  # (H, W), of volumes (D, H, W)
MOST_PIXELS = 1 << 28  # of a picture: a quarter of a GiB a byte
LINE_WIDTH = 3.0  # of a line whose file states none, in pixels of the image as it is annotated
_CORNERS = 64  # of the polygon that an ellipse is drawn as


class Shape(Protocol):
    """What one annotation marks."""

    @property
    def own_size(self) -> AnySize | None:
        """``(H, W)`` of the image, ``(D, H, W)`` of the volume, that it belongs to; None where the shape does not say."""

    def cover(self, canvas: Canvas, frame: Any) -> bool:
        """Set the canvas, which shows the whole image of size ``frame``, to 1 where the shape is; whether that is anywhere.

        Raises:
            BadShape: The shape does not fit an image of that size.
        """


class Outline(NamedTuple):
    """Parts that count together; of each, what an odd number of its rings ``(N, 2)`` surrounds.

    Where it holds the centre of no pixel, it marks those that its boundary touches.
    """

    parts: Sequence[Sequence[Any]]
    fractions: bool = False

    @property
    def own_size(self) -> None:
        return None

    def cover(self, canvas: Canvas, frame: Size) -> bool:
        _check_reach(self.parts, (1, 1) if self.fractions else frame)
        scale = np.array(canvas.shape[::-1], float) / (1.0 if self.fractions else np.array(frame[::-1]))
        parts = [[ring * scale for ring in part] for part in self.parts]
        covered = [fill(canvas, part) for part in parts]
        if any(covered):
            return True
        touched = [touch(canvas, part) for part in parts]
        return any(touched)


class Line(NamedTuple):
    """A line through points ``(N, 2)``, of a width in pixels of the image as it is annotated."""

    points: Any
    width: float = LINE_WIDTH
    fractions: bool = False

    @property
    def own_size(self) -> None:
        return None

    def cover(self, canvas: Canvas, frame: Size) -> bool:
        points = self.points * frame[::-1] if self.fractions else self.points
        radius = self.width / 2
        parts = [[ellipse_ring(x, y, radius, radius)] for x, y in points]
        for begin, end in pairwise(points):
            along = end - begin
            if length := math.hypot(*along):
                aside = np.array([-along[1], along[0]]) * radius / length
                parts.append([np.stack([begin + aside, end + aside, end - aside, begin - aside])])
        return Outline(parts).cover(canvas, frame)


class Runs(NamedTuple):
    """A mask as the places where it begins and ends, one after the other, counted along its columns or its rows.

    Attributes:
        edges: ``(N,)``, rising; before the first one nothing is marked.
        size: Of the mask; None where the file does not say.
        order: ``F`` along the columns, ``C`` along the rows.
        corner: The row and the column of the mask's first pixel in the image; None for a mask of the whole image.
    """

    edges: Any
    size: Size | None = None
    order: str = "F"
    corner: tuple[int, int] | None = None

    @property
    def own_size(self) -> Size | None:
        return None if self.corner else self.size

    def cover(self, canvas: Canvas, frame: Size) -> bool:
        size = self.size or frame
        (height, width), (top, left) = size, self.corner or (0, 0)
        if self.own_size not in (None, frame):
            raise BadShape("another size", f"its mask has size (H, W) = {size}, but its image has {frame}")
        if len(self.edges) and self.edges[-1] > height * width:
            raise BadShape("wrong run lengths", f"its runs end at {self.edges[-1]} of {height * width} places")
        rows = (np.arange(canvas.shape[0]) + 0.5) * frame[0] // canvas.shape[0] - top
        columns = (np.arange(canvas.shape[1]) + 0.5) * frame[1] // canvas.shape[1] - left
        y, x = (np.flatnonzero((at >= 0) & (at < most)) for at, most in ((rows, height), (columns, width)))
        if not len(y) or not len(x):  # between the centres of the canvas's pixels
            return self._touch(canvas, frame, size)
        part, found = (
            canvas[y[0] : y[-1] + 1, x[0] : x[-1] + 1],
            self._sampled(rows[y].astype(int), columns[x].astype(int), size),
        )
        part |= found
        return bool(found.any()) or self._touch(canvas, frame, size)

    def _sampled(self, rows: Any, columns: Any, size: Size) -> Any:
        """Whether each of these rows and columns is inside: bytes, a line of the mask at a time."""
        height, width = size
        if len(rows) * len(columns) == height * width:
            lengths = np.diff(np.concatenate([[0], self.edges, [height * width]]))
            flat = np.repeat(np.arange(len(lengths), dtype=np.uint8) & 1, lengths)
            return flat.reshape(width, height).T if self.order == "F" else flat.reshape(height, width)
        lines = np.empty((len(columns), len(rows)) if self.order == "F" else (len(rows), len(columns)), np.uint8)
        outer, inner, step = (columns, rows, height) if self.order == "F" else (rows, columns, width)
        for number, line in enumerate(outer):
            lines[number] = np.searchsorted(self.edges, line * step + inner, side="right") & 1
        return lines.T if self.order == "F" else lines

    def _touch(self, canvas: Canvas, frame: Size, size: Size) -> bool:
        """Mark the pixels in which runs begin, where the mask is too fine for the canvas."""
        starts = self.edges[::2][self.edges[::2] < np.append(self.edges[1::2], size[0] * size[1])[: len(self.edges[::2])]]
        y, x = (starts % size[0], starts // size[0]) if self.order == "F" else (starts // size[1], starts % size[1])
        top, left = self.corner or (0, 0)
        y, x = y + top, x + left
        inside = (y >= 0) & (y < frame[0]) & (x >= 0) & (x < frame[1])
        canvas[y[inside] * canvas.shape[0] // frame[0], x[inside] * canvas.shape[1] // frame[1]] = 1
        return bool(inside.any())


def _check_reach(parts: Sequence[Sequence[Any]], frame: Size) -> None:
    """Refuse what reaches further out of the image than the image is large: it belongs to another one, or to no one."""
    height, width = frame
    for part in parts:
        for ring in part:
            low, high = ring.min(0), ring.max(0)
            if low[0] >= width or low[1] >= height or high[0] <= 0 or high[1] <= 0:
                raise BadShape("outside the image", f"it is outside the image of size (H, W) = {frame}")
            if low[0] < -width or low[1] < -height or high[0] > 2 * width or high[1] > 2 * height:
                raise BadShape("far outside the image", f"it extends far outside the image of size (H, W) = {frame}")


def ellipse_ring(x: float, y: float, radius_x: float, radius_y: float) -> Any:
    """The corners ``(64, 2)`` of an ellipse."""
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    return np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], 1)
