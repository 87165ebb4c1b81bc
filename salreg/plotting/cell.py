"""Draws one sample and its map as a small picture: an image, a signal, a text, or a row of a table."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from salreg.plotting.bars import draw_bars
from salreg.plotting.overlay import enlarge, heated, outlined, picture, to_bytes
from salreg.plotting.signal import draw_signal
from salreg.plotting.tokens import draw_tokens


def draw_cell(
    sample: Tensor,
    saliency: Tensor | None,
    annotation: Tensor,
    limit: float,
    side: int,
    names: Sequence[str] = (),
    shown: Sequence[int] | None = None,
) -> Any:
    """Draw a sample, with its map over it if there is one.

    Args:
        sample: ``(C, H, W)``; a signal ``(C, T)``; token numbers ``(T,)``; or the numbers of a table's row ``(F,)``.
        saliency: ``(h, w)``, ``(T,)`` or ``(F,)``, at least 0; None draws the sample alone.
        annotation: ``(1, H, W)``, ``(T,)`` or ``(F,)``.
        limit: The saliency that gets the strongest colour, or a full bar.
        side: Smallest height or width of an image in pixels; texts and tables are as wide, or twice as wide.
        names: The names of the tokens or columns; by default their numbers.
        shown: The tokens of a text to draw; by default those of its marked and most salient sentences.

    Returns:
        ``uint8`` array ``(height, width, 3)``.

    Example:
        >>> import torch
        >>> draw_cell(torch.tensor([4, 2]), None, torch.zeros(2), 1.0, 80, names=["good", "film"]).shape
        (18, 160, 3)
    """
    if kind_of(sample) == "signal":
        return draw_signal(sample, saliency, annotation, limit, 2 * side, side)
    if kind_of(sample) == "image":
        pixels = enlarge(picture(sample), side) if saliency is None else heated(sample, saliency, limit, side)
        return to_bytes(outlined(pixels, annotation))
    names = names or [str(number) for number in (sample.tolist() if kind_of(sample) == "text" else range(len(sample)))]
    if kind_of(sample) == "text":
        return draw_tokens(names, saliency, annotation, limit, 2 * side, shown)
    return draw_bars(names, sample, saliency, annotation, limit, 2 * side)


def overlay(
    sample: Tensor, saliency: Tensor, annotation: Tensor, limit: float, side: int = 160, names: Sequence[str] = ()
) -> Any:
    """Draw a sample twice, side by side: plain, and under its map. Marked regions are outlined in both, spurious ones in sky
    blue, relevant ones in green. Signals, texts and rows of a table are drawn once.

    Arguments and result are as for ``draw_cell``.

    Example:
        >>> import torch
        >>> overlay(torch.rand(1, 8, 8), torch.rand(8, 8), torch.zeros(1, 8, 8), limit=1.0).shape
        (160, 324, 3)
    """
    drawn = draw_cell(sample, saliency, annotation, limit, side, names)
    if kind_of(sample) != "image":
        return drawn
    alone = draw_cell(sample, None, annotation, limit, side)
    return np.concatenate([alone, np.full((len(alone), 4, 3), 255, np.uint8), drawn], axis=1)


def kind_of(sample: Tensor) -> str:
    """The kind of a sample: ``image``, ``signal`` ``(C, T)``, ``text`` (integers) or ``table``.

    Example:
        >>> import torch
        >>> kind_of(torch.zeros(5))
        'table'
    """
    if sample.ndim > 1:
        return "signal" if sample.ndim == 2 else "image"
    return "table" if sample.is_floating_point() else "text"
