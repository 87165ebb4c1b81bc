"""Draws a signal over time, such as audio: its curve on the colours of its saliency."""

from typing import Any

import numpy as np
from torch import Tensor

from salreg.plotting.colours import RELEVANT_COLOUR, SPURIOUS_COLOUR, WORDS, colour_map

_CURVE = (0.2, 0.2, 0.2)


def draw_signal(signal: Tensor, saliency: Tensor | None, annotation: Tensor, limit: float, width: int, height: int) -> Any:
    """Draw the curve of a signal, the mean of its channels. If several of its values share a column of pixels, the column
    reaches from the lowest to the highest. Bars above and below show the marks: sky blue for spurious, green for relevant.

    Args:
        signal: ``(C, T)``.
        saliency: ``(t,)``, at least 0, coloured behind the curve; None draws the curve alone.
        annotation: ``(1, T)`` or ``(T,)``.
        limit: The saliency that gets the strongest colour.
        width: The width in pixels.
        height: The height in pixels.

    Returns:
        ``uint8`` array ``(height, width, 3)``.

    Example:
        >>> import torch
        >>> draw_signal(torch.rand(1, 400), torch.rand(400), torch.zeros(400), 1.0, 160, 40).shape
        (40, 160, 3)
    """
    pixels = np.ones((height, width, 3))
    if saliency is not None:
        strength = _of_columns(saliency.detach().float().cpu().nan_to_num().flatten().numpy() / max(limit, 1e-30), width)[1]
        pixels[:] = colour_map(WORDS)(np.clip(strength, 0, 1))[None, :, :3]
    low, high = _of_columns(signal.detach().float().cpu().nan_to_num().mean(0).numpy(), width)
    bar = max(2, height // 16)
    scale = (height - 2 * bar - 1) / max(float(high.max() - low.min()), 1e-30)
    top, bottom = (bar + np.round((high.max() - one) * scale) for one in (high, low))
    rows = np.arange(height)[:, None]
    pixels[(rows >= top) & (rows <= np.maximum(bottom, top))] = _CURVE
    marks = annotation.detach().float().cpu().flatten().numpy()
    lowest, highest = _of_columns(marks, width)
    for marked, colour in ((highest > 0, RELEVANT_COLOUR), (lowest < 0, SPURIOUS_COLOUR)):
        for rim in (slice(0, bar), slice(height - bar, height)):
            pixels[rim, marked] = colour
    return (pixels * 255).round().astype(np.uint8)


def _of_columns(values: Any, width: int) -> tuple[Any, Any]:
    """The lowest and highest values in each column of pixels."""
    starts = (np.arange(width) * len(values)) // width
    if len(values) <= width:
        return values[starts], values[starts]
    return np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
