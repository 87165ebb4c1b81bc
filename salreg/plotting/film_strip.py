"""Draws saliency over a training: one row per sample, one column per epoch."""

from collections.abc import Sequence
from itertools import accumulate
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from salreg.history import Frame
from salreg.plotting.cell import draw_cell, kind_of
from salreg.plotting.colours import RELEVANT_COLOUR, SPURIOUS_COLOUR, rgb
from salreg.plotting.fonts import font
from salreg.plotting.scale import RULE, Scale
from salreg.plotting.sentences import foremost

MAX_COLUMNS = 10
_CELL = 84  # pixels
_GAP, _BAR, _LINE = 6, 3, 11
_LABEL = 18  # letters per line of a row's label


class _Row(NamedTuple):
    """A sample's row, in pixels from the top."""

    top: int
    height: int
    label: str


def film_strip(
    images: Sequence[Tensor],
    annotations: Sequence[Tensor],
    labels: Sequence[str],
    frames: Sequence[Frame],
    title: str = "",
    names: Sequence[Sequence[str]] = (),
    *,
    columns: int = MAX_COLUMNS,
    scales: Sequence[Scale] = (),
) -> Any:
    """Draw samples against epochs, on the colour scale of ``salreg.plotting.scale``. Below each map are its total, as a bar
    relative to the row's largest, the prediction, and the share on the marks.

    Args:
        images: ``(C, H, W)`` each; or texts ``(T,)`` (integers), or rows of a table ``(F,)``.
        annotations: ``(1, H, W)``, ``(T,)`` or ``(F,)`` each.
        labels: What to write before each row; long ones are wrapped.
        frames: The columns; if there are more than ``columns``, the first, the last and evenly spaced ones between are drawn.
        title: The title above the picture.
        names: The names of each sample's tokens or columns.
        columns: The largest number of epochs to draw.
        scales: The colour scale of each sample; by default computed from these frames.

    Returns:
        ``uint8`` array ``(height, width, 3)``.

    Example:
        >>> import torch
        >>> frame = Frame(1, [torch.rand(8, 8)], ["cat"], [0.41])
        >>> film_strip([torch.rand(1, 8, 8)], [torch.zeros(1, 8, 8)], ["cat"], [frame]).ndim
        3
    """
    names = names or [()] * len(images)
    scales = scales or [Scale.of(frames, row) for row in range(len(images))]
    frames = _thinned(frames, columns)
    cells = []
    for row, (image, mark, words) in enumerate(zip(images, annotations, names, strict=True)):
        maps = [frame.saliency[row] for frame in frames]
        shown = foremost(words, mark, maps) if kind_of(image) == "text" and words else None  # the same at all epochs
        drawn: list[tuple[Tensor | None, float]] = [(None, 1.0), *((one, scales[row].limit(one)) for one in maps)]
        cells.append([draw_cell(image, one, mark, limit, _CELL, words, shown) for one, limit in drawn])
    width = cells[0][0].shape[1]
    below = [_captions(frame, row, width) for row in range(len(images)) for frame in frames]
    heights = [max(len(cell) for cell in line) for line in cells]
    step = _BAR + 2 + _GAP + _LINE * max(text.count("\n") + 1 for text in below)
    tops = [0, *accumulate(height + step for height in heights)]
    canvas = np.full((tops[-1], (width + _GAP) * len(cells[0]) - _GAP, 3), 255, dtype=np.uint8)
    for row, (top, height, line) in enumerate(zip(tops, heights, cells, strict=False)):
        for column, cell in enumerate(line):
            left = column * (width + _GAP)
            canvas[top : top + len(cell), left : left + width] = cell
            if column:
                bar = canvas[top + height + 2 : top + height + 2 + _BAR, left : left + width]
                bar[:] = 225
                bar[:, : round(scales[row].share(frames[column - 1].saliency[row]) * width)] = 90
    rows = [_Row(*one) for one in zip(tops, heights, ("\n".join(wrap(label, _LABEL)) for label in labels), strict=False)]
    return _framed(canvas, frames, rows, width, title)


def _captions(frame: Frame, sample: int, width: int) -> str:
    """The prediction, wrapped to a cell's width, and the share of saliency on the marks."""
    share = frame.shares[sample]
    lines = wrap(f"→ {frame.predictions[sample]}", width // 5)
    return "\n".join([*lines, f"{share:.0%} on marks"] if share == share else lines)


def _framed(canvas: Any, frames: Sequence[Frame], rows: Sequence[_Row], column_width: int, title: str) -> Any:
    """Put titles, labels, captions and a legend around the canvas."""
    large, small, grey = font(11), font(9), "#404040"
    left = 20 + int(max(large.getlength(line) for row in rows for line in (row.label or " ").split("\n")))
    height, width = canvas.shape[:2]
    rule = wrap(f"{RULE} Bar: the map's total.", max((width + left) // 5, 20))
    top, bottom = 46, 26 + _LINE * len(rule)
    framed = Image.new("RGB", (left + width + 8, top + height + bottom), "white")
    framed.paste(Image.fromarray(canvas), (left, top))
    pen = ImageDraw.Draw(framed)
    middles = [left + column * (column_width + _GAP) + column_width / 2 for column in range(len(frames) + 1)]
    heads = ["input", *(f"epoch {frame.epoch}" if frame.epoch else "untrained" for frame in frames)]
    for middle, text in zip(middles, heads, strict=True):
        pen.text((middle, top - 6), text, "black", large, anchor="md")
    for number, row in enumerate(rows):
        pen.text((left - 8, top + row.top + row.height / 2), row.label, "black", large, anchor="rm", align="right")
        for middle, frame in zip(middles[1:], frames, strict=True):
            place = (middle, top + row.top + row.height + _BAR + 3)
            pen.text(place, _captions(frame, number, column_width), grey, small, anchor="ma", align="center", spacing=2)
    pen.text((4, 4), title, "black", font(12, bold=True))
    pen.text((4, top + height + 22), "\n".join(rule), grey, small, spacing=2)
    x = 4.0
    for colour, text in ((SPURIOUS_COLOUR, "marked spurious"), (RELEVANT_COLOUR, "marked relevant")):
        pen.line((x, top + height + 10, x + 20, top + height + 10), rgb(colour), 2)
        pen.text((x + 26, top + height + 10), text, "black", small, anchor="lm")
        x += 26 + small.getlength(text) + 16
    return np.asarray(framed)


def _thinned(frames: Sequence[Frame], columns: int) -> list[Frame]:
    if len(frames) <= columns:
        return list(frames)
    return [frames[index] for index in np.linspace(0, len(frames) - 1, columns).round().astype(int)]
