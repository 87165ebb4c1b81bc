"""Pictures below one another, each with a heading."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_HEADING = 34  # pixels


def stack(pictures: Mapping[str, Any]) -> Any:
    """Stack pictures under their headings.

    Args:
        pictures: ``uint8`` arrays ``(height, width, 3)`` by heading; narrower ones are padded with white.

    Returns:
        ``uint8`` array ``(height, width, 3)``.

    Example:
        >>> white = np.full((10, 20, 3), 255, np.uint8)
        >>> stack({"plain": white, "regularised": white}).shape
        (88, 20, 3)
    """
    width = max(picture.shape[1] for picture in pictures.values())
    parts = []
    for heading, picture in pictures.items():
        padding = ((0, 0), (0, width - picture.shape[1]), (0, 0))
        parts += [_heading(heading, width), np.pad(picture, padding, constant_values=255)]
    return np.concatenate(parts)


def _heading(text: str, width: int) -> Any:
    figure = Figure(figsize=(width / 100, _HEADING / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    figure.text(4 / width, 0.2, text, ha="left", va="bottom", fontsize=13, fontweight="bold", parse_math=False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
