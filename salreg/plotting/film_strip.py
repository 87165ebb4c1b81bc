"""Draws saliency over a training: one row per sample, one column per epoch."""

from collections.abc import Sequence
from itertools import accumulate
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.lines import Line2D
from PIL import ImageFont
from torch import Tensor

from salreg.history import Frame
from salreg.plotting.cell import draw_cell, kind_of
from salreg.plotting.colours import RELEVANT_COLOUR, SPURIOUS_COLOUR
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
    """Put titles, labels, captions and a legend around the canvas without resampling it."""
    font = ImageFont.truetype(findfont("DejaVu Sans"), 11)
    left = 20 + int(max(font.getlength(line) for row in rows for line in (row.label or " ").split("\n")))
    height, width = canvas.shape[:2]
    rule = wrap(f"{RULE} Bar: the map's total.", max((width + left) // 5, 20))
    dpi, top, bottom = 100, 46, 26 + _LINE * len(rule)
    size = (width + left + 8, height + top + bottom)
    figure = Figure(figsize=(size[0] / dpi, size[1] / dpi), dpi=dpi)
    agg = FigureCanvasAgg(figure)
    axes = figure.add_axes((left / size[0], bottom / size[1], width / size[0], height / size[1]))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    heads = ["input", *(f"epoch {frame.epoch}" if frame.epoch else "untrained" for frame in frames)]
    for column, text in enumerate(heads):
        axes.text(column * (column_width + _GAP) + column_width / 2, -6, text, ha="center", va="bottom", fontsize=8)
    for number, row in enumerate(rows):
        axes.text(-8, row.top + row.height / 2, row.label, ha="right", va="center", fontsize=8, parse_math=False)
        for column, frame in enumerate(frames, start=1):
            place = (column * (column_width + _GAP) + column_width / 2, row.top + row.height + _BAR + 4)
            words = _captions(frame, number, column_width)
            axes.text(*place, words, ha="center", va="top", fontsize=6.5, color="0.25", parse_math=False)
    figure.text(4 / size[0], 1 - 4 / size[1], title, ha="left", va="top", fontsize=9, fontweight="bold", parse_math=False)
    figure.text(4 / size[0], 4 / size[1], "\n".join(rule), ha="left", va="bottom", fontsize=6.5, color="0.25")
    keys = [
        Line2D([], [], color=SPURIOUS_COLOUR, label="marked spurious"),
        Line2D([], [], color=RELEVANT_COLOUR, label="marked relevant"),
    ]
    place = (0.0, (bottom - 22) / size[1])
    figure.legend(handles=keys, loc="lower left", ncols=2, fontsize=7, frameon=False, borderpad=0, bbox_to_anchor=place)
    agg.draw()
    drawn = np.asarray(agg.buffer_rgba())[..., :3].copy()
    framed = drawn[top : top + height, left : left + width]
    np.minimum(framed, canvas, out=framed)  # dark text on white; placing an image by matplotlib is far slower
    return drawn


def _thinned(frames: Sequence[Frame], columns: int) -> list[Frame]:
    if len(frames) <= columns:
        return list(frames)
    return [frames[index] for index in np.linspace(0, len(frames) - 1, columns).round().astype(int)]
