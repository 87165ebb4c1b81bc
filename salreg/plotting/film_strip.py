"""Attention over a training: one row a sample, one column an epoch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from salreg.plotting.history import Frame
from salreg.plotting.overlay import RELEVANT_COLOUR, SPURIOUS_COLOUR, enlarge, heated, outlined, picture, to_bytes

MAX_COLUMNS = 10
_CELL = 84  # pixels
_GAP = 6


def film_strip(
    images: Sequence[Tensor],
    annotations: Sequence[Tensor],
    labels: Sequence[str],
    frames: Sequence[Frame],
    title: str = "",
) -> Any:
    """Draw samples against epochs. Every row has one colour scale, so that its epochs compare.

    Args:
        images: ``(C, H, W)`` or ``(F,)`` each.
        annotations: ``(1, H, W)`` or ``(F,)`` each.
        labels: What to write before each row.
        frames: The columns; of more than 10, the first, the last and evenly spaced ones between are drawn.
        title: Written above.

    Returns:
        ``uint8`` array ``(height, width, 3)``.

    Example:
        >>> import torch
        >>> frame = Frame(1, [torch.rand(8, 8)], ["cat"], [0.41])
        >>> film_strip([torch.rand(1, 8, 8)], [torch.zeros(1, 8, 8)], ["cat"], [frame]).ndim
        3
    """
    frames = _thinned(frames)
    limits = [max(float(frame.saliency[row].max()) for frame in frames) for row in range(len(images))]
    cells = [
        [outlined(enlarge(picture(image), _CELL), mark)]
        + [outlined(heated(image, frame.saliency[row], limits[row], _CELL), mark) for frame in frames]
        for row, (image, mark) in enumerate(zip(images, annotations, strict=True))
    ]
    height, width = cells[0][0].shape[:2]
    step_y, step_x = height + _GAP + 10, width + _GAP
    canvas = np.full((step_y * len(cells), step_x * len(cells[0]) - _GAP, 3), 255, dtype=np.uint8)
    for row, line in enumerate(cells):
        for column, cell in enumerate(line):
            canvas[row * step_y : row * step_y + height, column * step_x : column * step_x + width] = to_bytes(cell)
    return _framed(canvas, frames, labels, (height, width), (step_y, step_x), title)


def _framed(
    canvas: Any,
    frames: Sequence[Frame],
    labels: Sequence[str],
    cell: tuple[int, int],
    step: tuple[int, int],
    title: str,
) -> Any:
    """The canvas with titles, labels, captions and a legend around it, pixel for pixel."""
    dpi, left, top, bottom = 100, 96, 46, 24
    height, width = canvas.shape[:2]
    size = (width + left + 8, height + top + bottom)
    figure = Figure(figsize=(size[0] / dpi, size[1] / dpi), dpi=dpi)
    agg = FigureCanvasAgg(figure)
    axes = figure.add_axes((left / size[0], bottom / size[1], width / size[0], height / size[1]))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for column, text in enumerate(["input", *(f"epoch {frame.epoch}" for frame in frames)]):
        axes.text(column * step[1] + cell[1] / 2, -6, text, ha="center", va="bottom", fontsize=8)
    for row, label in enumerate(labels):
        axes.text(-8, row * step[0] + cell[0] / 2, label, ha="right", va="center", fontsize=8, parse_math=False)
        for column, frame in enumerate(frames, start=1):
            place = (column * step[1] + cell[1] / 2, row * step[0] + cell[0] + 1)
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
