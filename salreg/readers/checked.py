"""Checks shapes from files and converts them to one form.

The makers (``box``, ``polygon``, ...) raise ``BadShape`` for shapes without a clear meaning. Coordinates are pixels of the
annotated image, or fractions of its width and height.
"""

import math
from typing import Any

import numpy as np

from salreg.readers.problems import BadShape
from salreg.readers.shapes import LINE_WIDTH, Line, Outline, Runs, Size, ellipse_ring

_FAR = 1e6  # pixels
_MOST_CORNERS = 100_000
_MOST_FRACTION = 1.1  # of the image: shapes reach a little over its border
_MOST_POINTS = 1_500  # of a line


def box(left: Any, top: Any, right: Any, bottom: Any, *, rotation: Any = 0, fractions: bool = False) -> Outline:
    """A box given by its edges, rotated clockwise about its centre by degrees."""
    x1, y1, x2, y2 = numbers((left, top, right, bottom))
    if x1 >= x2 or y1 >= y2:
        raise BadShape("no area", f"the box from ({x1:g}, {y1:g}) to ({x2:g}, {y2:g}) covers nothing")
    ring = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
    if not fractions:
        _check_pixels(ring)
    return Outline([[turned(ring, ring.mean(0), rotation)]], fractions)


def corner_box(x: Any, y: Any, width: Any, height: Any, **more: Any) -> Outline:
    """A box given by its upper left corner and its size."""
    x, y, width, height = numbers((x, y, width, height))
    return box(x, y, x + width, y + height, **more)


def polygon(*rings: Any, fractions: bool = False) -> Outline:
    """An outline, optionally with holes, each a list of pairs or of numbers x, y, x, y, ..."""
    found = [ring_of(ring) for ring in rings]
    if not fractions:
        _check_pixels(*found)
    return Outline([found], fractions)


def ellipse(x: Any, y: Any, radius_x: Any, radius_y: Any, *, rotation: Any = 0, fractions: bool = False) -> Outline:
    """An ellipse given by its centre, rotated clockwise about it by degrees."""
    x, y, radius_x, radius_y = numbers((x, y, radius_x, radius_y))
    if radius_x <= 0 or radius_y <= 0:
        raise BadShape("no area", f"the ellipse of the radii {radius_x:g} and {radius_y:g} covers nothing")
    return Outline([[turned(ellipse_ring(x, y, radius_x, radius_y), np.array([x, y]), rotation)]], fractions)


def line(points: Any, width: Any = LINE_WIDTH, *, fractions: bool = False) -> Line:
    """A line through at least two points."""
    (width,) = numbers((width,))
    found = _pairs(points)
    if len(found) < 2 or width <= 0:
        raise BadShape("no area", f"the line of {len(found)} points and the width {width:g} covers nothing")
    if len(found) > _MOST_POINTS:
        raise BadShape("too large to draw", f"the line has {len(found)} points")
    return Line(found, width, fractions)


def runs(lengths: Any, size: Size | None, *, order: str = "F", corner: tuple[int, int] | None = None) -> Runs:
    """A mask given by the lengths of its runs, which begin outside and must fill it if its size is known."""
    try:
        found = np.asarray(lengths, float)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadShape("wrong run lengths", "its run lengths are not a list of numbers") from error
    if found.ndim != 1 or not found.size:
        raise BadShape("wrong run lengths", "it has no run lengths")
    if not np.isfinite(found).all() or (found < 0).any() or (found != np.floor(found)).any():
        raise BadShape("wrong run lengths", "a run length is negative or no whole number")
    if size is not None and found.sum() != size[0] * size[1]:
        raise BadShape("wrong run lengths", f"its runs cover {found.sum():g} places of a mask of {size[0]} x {size[1]}")
    return Runs(np.cumsum(found.astype(np.int64)), size, order, corner)


def pixels(mask: Any, corner: tuple[int, int] | None = None) -> Runs:
    """A mask of booleans ``(H, W)``, for the whole image or starting at a row and column."""
    flat = np.asarray(mask).reshape(-1)
    edges = np.flatnonzero(np.diff(flat.astype(np.int8), prepend=0, append=0))
    return Runs(edges, mask.shape, "C", corner)


def turned(ring: Any, pivot: Any, degrees: Any) -> Any:
    """A ring rotated clockwise, as seen on screen, about a point. None means no rotation."""
    (angle,) = numbers((0 if degrees is None else degrees,))
    if not angle:
        return ring
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return (ring - pivot) @ np.array([[cos, sin], [-sin, cos]]) + pivot


def ring_of(points: Any) -> Any:
    """A ring ``(N, 2)`` of three corners or more, or ``BadShape``."""
    ring = _pairs(points)
    if len(ring) < 3:
        raise BadShape("too few corners", f"a polygon has {len(ring)} corners")
    (x1, y1), (x2, y2), (x3, y3) = ring[:3].tolist()
    if abs((x2 - x1) * (y3 - y1) - (x3 - x1) * (y2 - y1)) > 1e-3:  # as of almost all
        return ring
    sides = ring - ring[0]
    longest = sides[np.abs(sides).sum(1).argmax()]
    if (np.abs(sides[:, 0] * longest[1] - sides[:, 1] * longest[0]) <= 1e-9 * np.abs(longest).sum() ** 2).all():
        raise BadShape("no area", "a polygon's corners lie on one line")
    return ring


def _check_pixels(*rings: Any) -> None:
    """Refuse fractions of the image where pixels are expected: within the first pixel nobody marks parts of it."""
    if max(rings[0][0].tolist()) > _MOST_FRACTION:  # as of almost all
        return
    if all(ring.min() >= 0 and ring.max() <= _MOST_FRACTION for ring in rings) and any((ring % 1).any() for ring in rings):
        raise BadShape("fractions", "its coordinates look like fractions of the image; pixels are read")


def numbers(values: Any) -> list[float]:
    """Finite numbers that are near enough to be coordinates, or ``BadShape``; their text counts."""
    try:
        found = [math.nan if isinstance(value, bool) or "_" in str(value) else float(value) for value in values]
    except (TypeError, ValueError, OverflowError) as error:
        raise BadShape("no number", f"{_short(values)} are not numbers") from error
    if not all(map(math.isfinite, found)):
        raise BadShape("no number", f"{_short(values)} are not finite numbers")
    if any(abs(value) > _FAR for value in found):
        raise BadShape("far outside the image", f"{_short(values)} lies far outside of any image")
    return found


def _pairs(points: Any) -> Any:
    """Points ``(N, 2)`` from pairs, mappings with x and y, or numbers in a row."""
    if not isinstance(points, (list, tuple, np.ndarray)):
        raise BadShape("malformed", f"{_short(points)} is not a list of points")
    if len(points) > 2 * _MOST_CORNERS:
        raise BadShape("too large to draw", f"it has {len(points)} coordinates")
    if len(points) and all(isinstance(point, dict) for point in points):
        points = [(point.get("x"), point.get("y")) for point in points]
    try:
        found = np.asarray(points, float)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadShape("no number", f"{_short(points)} are not points") from error
    if found.ndim == 1 and found.size % 2 == 0:
        found = found.reshape(-1, 2)
    if found.ndim != 2 or found.shape[1] != 2:
        raise BadShape("malformed", f"{_short(points)} are not points (x, y)")
    farthest = max(found.max(), -found.min()) if found.size else 0.0  # nan and infinity remain
    if not farthest <= _FAR:
        if not np.isfinite(found).all():
            raise BadShape("no number", "a coordinate is not a finite number")
        raise BadShape("far outside the image", f"a corner at {farthest:g} is far outside any image")
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
