"""Draws a row of a table: the saliency of its columns as bars."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from salreg.plotting.colours import RELEVANT_COLOUR, SPURIOUS_COLOUR, rgb
from salreg.plotting.fonts import font

#: The largest number of columns drawn; of more, the marked ones and those with the highest saliency are chosen.
MOST_COLUMNS = 16
_UNMARKED = (0.55, 0.55, 0.55)
_SIZE, _LINE = 10, 14  # pixels


def draw_bars(
    names: Sequence[str], values: Tensor, saliency: Tensor | None, annotation: Tensor, limit: float, width: int
) -> Any:
    """Draw a bar per column: sky blue for spurious ones, green for relevant ones, grey for all others.

    Args:
        names: The names of the columns.
        values: The row ``(F,)``.
        saliency: ``(F,)``, at least 0; if None, the values are written instead.
        annotation: ``(F,)``.
        limit: The saliency of a full bar.
        width: The width in pixels.

    Returns:
        ``uint8`` array ``(height, width, 3)``.

    Example:
        >>> import torch
        >>> draw_bars(["age", "race"], torch.zeros(2), torch.rand(2), torch.tensor([0, -1]), limit=1.0, width=100).shape
        (28, 100, 3)
    """
    shown = shown_columns(saliency, annotation)
    letters, half = font(_SIZE), width // 2
    picture = Image.new("RGB", (width, max(_LINE * len(shown), 1)), "white")
    pen = ImageDraw.Draw(picture)
    for line, column in enumerate(shown):
        name = names[column] if column < len(names) else str(column)
        while len(name) > 1 and letters.getlength(name) > half - 4:
            name = name[:-2] + "…"
        pen.text((half - 4, line * _LINE + 1), name, font=letters, fill="black", anchor="ra")
        if saliency is None:
            pen.text((half, line * _LINE + 1), f"{float(values[column]):.4g}", font=letters, fill="black")
            continue
        length = float(saliency[column].float().nan_to_num()) / limit if limit > 0 else 0.0
        end = half + round(min(max(length, 0.0), 1.0) * (half - 2))
        place = (half, line * _LINE + 2, end, line * _LINE + _LINE - 3)
        pen.rectangle(place, fill=rgb(column_colour(annotation, column)))
    return np.asarray(picture)


def shown_columns(saliency: Tensor | None, annotation: Tensor) -> list[int]:
    """The indices of the columns that are drawn, in order.

    Example:
        >>> import torch
        >>> shown_columns(None, torch.zeros(3))
        [0, 1, 2]
    """
    if annotation.numel() <= MOST_COLUMNS:
        return list(range(annotation.numel()))
    strength = annotation.float().abs() * 1e30 if saliency is None else saliency.float().nan_to_num() + annotation.abs() * 1e30
    return sorted(strength.argsort(descending=True, stable=True)[:MOST_COLUMNS].tolist())


def column_colour(annotation: Tensor, column: int) -> tuple[float, float, float]:
    """The colour of a column's bar."""
    sign = float(annotation[column])
    return SPURIOUS_COLOUR if sign < 0 else RELEVANT_COLOUR if sign > 0 else _UNMARKED
