"""Outlines brought to pixels, by one rule for all formats.

A pixel is marked if its centre lies inside, as pycocotools has it to the pixel: corners are rounded to fifths of a pixel, and a
column's crossings to the next pixel. The memory is a byte for each pixel of the outline's bounding box.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from salreg.readers.problems import BadShape

#: Booleans as bytes ``(H, W)``.
Canvas = Any
_FIFTHS = 5
_AT_ONCE, _AT_MOST = 1 << 18, 1 << 26  # points of a boundary


def fill(canvas: Canvas, rings: Sequence[Any]) -> bool:
    """Mark what an odd number of closed rings ``(N, 2)`` of corners (x, y) surrounds; whether that is any pixel.

    Raises:
        BadShape: A boundary that is longer than 67 million fifths of a pixel.

    Example:
        >>> canvas = np.zeros((3, 4), np.uint8)
        >>> fill(canvas, [np.array([[1, 0], [3, 0], [3, 2], [1, 2]])])
        True
        >>> canvas.tolist()
        [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    height, width = canvas.shape
    crossings = [_crossings(u, v, height, width) for ring in rings for u, v in _boundary(ring)]
    columns, rows = (np.concatenate(parts) for parts in zip(*crossings, strict=True))
    if not len(columns):
        return False
    left, top = columns.min(), rows.min()
    grid = np.zeros((rows.max() - top + 1, columns.max() - left + 1), np.uint8)
    places, counts = np.unique((rows - top) * grid.shape[1] + (columns - left), return_counts=True)
    grid.reshape(-1)[places[counts % 2 == 1]] = 1
    np.bitwise_xor.accumulate(grid, 0, out=grid)
    part = canvas[top : top + len(grid), left : left + grid.shape[1]]
    part |= grid[: len(part)]
    return bool(grid.any())


def touch(canvas: Canvas, rings: Sequence[Any]) -> bool:
    """Mark the pixels that the rings' boundaries touch; whether there are any in the picture."""
    height, width = canvas.shape
    found = False
    for ring in rings:
        for u, v in _boundary(ring):
            x, y = u // _FIFTHS, v // _FIFTHS
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            canvas[y[inside], x[inside]] = 1
            found |= bool(inside.any())
    return found


def sample(canvas: Canvas, mask: Any) -> bool:
    """Mark where a mask of any size is true at the centres of the canvas's pixels; whether it is true anywhere.

    Where none of the centres meets a mask, its places are brought to the pixels that they lie in.
    """
    if canvas.shape == mask.shape:
        canvas |= mask
        return bool(mask.any())
    sizes = list(zip(canvas.shape, mask.shape, strict=True))
    found = mask[np.ix_(*(((np.arange(n) + 0.5) * m // n).astype(np.intp) for n, m in sizes))]
    canvas |= found
    if found.any() or not mask.any():
        return bool(found.any())
    canvas[tuple(places * n // m for places, (n, m) in zip(np.nonzero(mask), sizes, strict=True))] = 1
    return True


def _boundary(ring: Any) -> Iterator[tuple[Any, Any]]:
    """Points at every fifth of a pixel along a ring's edges, some edges at a time: whole fifths."""
    corners = np.trunc(_FIFTHS * np.asarray(ring, float) + 0.5).astype(np.int64)
    corners = np.concatenate([corners, corners[:1]])
    steps = np.abs(np.diff(corners, axis=0))
    lengths = steps.max(1) + 1
    if lengths.sum() > _AT_MOST:
        raise BadShape("too large to draw", "its boundary is too long to draw")
    ends = np.cumsum(lengths)
    first = 0
    while first < len(lengths):
        before = ends[first] - lengths[first]
        last = max(first + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
        yield _points(corners[first : last + 1], steps[first:last], lengths[first:last])
        first = last


def _points(corners: Any, steps: Any, lengths: Any) -> tuple[Any, Any]:
    """The points on consecutive edges; along its longer axis, an edge goes from its smaller end to its larger one."""
    begin, end = corners[:-1], corners[1:]
    axis = (steps[:, 1] > steps[:, 0]).astype(np.intp)  # the longer one: 0 x, 1 y
    edges = np.arange(len(axis))
    flipped = begin[edges, axis] > end[edges, axis]
    low, high = np.where(flipped[:, None], end, begin), np.where(flipped[:, None], begin, end)
    slopes = (high - low)[edges, 1 - axis] / np.maximum(lengths - 1, 1)
    which = np.repeat(edges, lengths)
    along = np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    along = np.where(flipped[which], (lengths - 1)[which] - along, along)
    across = np.trunc(low[edges, 1 - axis][which] + slopes[which] * along + 0.5).astype(np.int64)
    along = along + low[edges, axis][which]
    steep = axis[which] == 1
    return np.where(steep, across, along), np.where(steep, along, across)


def _crossings(u: Any, v: Any, height: int, width: int) -> tuple[Any, Any]:
    """The columns whose centres a boundary crosses, and the first row that lies below each crossing."""
    moved = u[1:] != u[:-1]
    fifth = np.where(u[1:] < u[:-1], u[1:], u[1:] - 1)[moved]
    columns = (fifth - _FIFTHS // 2) // _FIFTHS
    kept = (fifth % _FIFTHS == _FIFTHS // 2) & (columns >= 0) & (columns < width)
    rows = -((_FIFTHS // 2 - np.minimum(v[1:], v[:-1])[moved][kept]) // _FIFTHS)
    return columns[kept], rows.clip(0, height)
