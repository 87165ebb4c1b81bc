"""Attention over a training: one row a sample, one column an epoch."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from salreg.history import Frame
from salreg.plotting.cell import draw_cell
from salreg.plotting.colours import RELEVANT_COLOUR, SPURIOUS_COLOUR

MAX_COLUMNS = 10
_CELL = 84  # pixels
_GAP = 6


def film_strip(
    images: Sequence[Tensor],
    annotations: Sequence[Tensor],
    labels: Sequence[str],
    frames: Sequence[Frame],
    title: str = "",
    names: Sequence[Sequence[str]] = (),
) -> Any:
    """Draw samples against epochs. Every row has one colour scale, so that its epochs compare.

    Args:
        images: ``(C, H, W)`` each; or texts ``(T,)`` (integers), or rows of a table ``(F,)``.
        annotations: ``(1, H, W)``, ``(T,)`` or ``(F,)`` each.
        labels: What to write before each row.
        frames: The columns; of more than 10, the first, the last and evenly spaced ones between are drawn.
        title: Written above.
        names: Of each sample's tokens or columns.

    Returns:
        ``uint8`` array ``(height, width, 3)``.

    Example:
        >>> import torch
        >>> frame = Frame(1, [torch.rand(8, 8)], ["cat"], [0.41])
        >>> film_strip([torch.rand(1, 8, 8)], [torch.zeros(1, 8, 8)], ["cat"], [frame]).ndim
        3
    """
    frames, names = _thinned(frames), names or [()] * len(images)
    limits = [max(float(frame.saliency[row].max()) for frame in frames) for row in range(len(images))]
    cells = [
        [draw_cell(image, saliency, mark, limit, _CELL, words) for saliency in (None, *(f.saliency[row] for f in frames))]
        for row, (image, mark, limit, words) in enumerate(zip(images, annotations, limits, names, strict=True))
    ]
    width = cells[0][0].shape[1]
    heights = [max(len(cell) for cell in line) for line in cells]
    tops = [0, *accumulate(height + _GAP + 10 for height in heights)]
    canvas = np.full((tops[-1], (width + _GAP) * len(cells[0]) - _GAP, 3), 255, dtype=np.uint8)
    for top, line in zip(tops, cells, strict=False):
        for column, cell in enumerate(line):
            left = column * (width + _GAP)
            canvas[top : top + len(cell), left : left + width] = cell
    return _framed(canvas, frames, labels, list(zip(tops, heights, strict=False)), width, title)


def _framed(
    canvas: Any,
    frames: Sequence[Frame],
    labels: Sequence[str],
    rows: Sequence[tuple[int, int]],
    column_width: int,
    title: str,
) -> Any:
    """The canvas with titles, labels, captions and a legend around it, pixel for pixel. ``rows`` are tops and heights."""
    dpi, left, top, bottom = 100, 96, 46, 24
    height, width = canvas.shape[:2]
    size = (width + left + 8, height + top + bottom)
    figure = Figure(figsize=(size[0] / dpi, size[1] / dpi), dpi=dpi)
    agg = FigureCanvasAgg(figure)
    axes = figure.add_axes((left / size[0], bottom / size[1], width / size[0], height / size[1]))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for column, text in enumerate(["input", *(f"epoch {frame.epoch}" for frame in frames)]):
        axes.text(column * (column_width + _GAP) + column_width / 2, -6, text, ha="center", va="bottom", fontsize=8)
    for row, (label, (row_top, row_height)) in enumerate(zip(labels, rows, strict=True)):
        axes.text(-8, row_top + row_height / 2, label, ha="right", va="center", fontsize=8, parse_math=False)
        for column, frame in enumerate(frames, start=1):
            place = (column * (column_width + _GAP) + column_width / 2, row_top + row_height + 1)
            axes.text(*place, frame.caption(row), ha="center", va="top", fontsize=6.5, color="0.25", parse_math=False)
    figure.text(4 / size[0], 1 - 4 / size[1], title, ha="left", va="top", fontsize=9, fontweight="bold", parse_math=False)
    keys = [
        Line2D([], [], color=SPURIOUS_COLOUR, label="marked spurious"),
        Line2D([], [], color=RELEVANT_COLOUR, label="marked relevant"),
    ]
    figure.legend(handles=keys, loc="lower left", ncols=2, fontsize=7, frameon=False, borderpad=0, bbox_to_anchor=(0.01, 0.002))
    agg.draw()
    drawn = np.asarray(agg.buffer_rgba())[..., :3].copy()
    framed = drawn[top : top + height, left : left + width]
    np.minimum(framed, canvas, out=framed)  # dark text on white; matplotlib's own way of placing an image is far slower
    return drawn


def _thinned(frames: Sequence[Frame]) -> list[Frame]:
    if len(frames) <= MAX_COLUMNS:
        return list(frames)
    return [frames[index] for index in np.linspace(0, len(frames) - 1, MAX_COLUMNS).round().astype(int)]
