"""One sample: its input, its heat map, and the outline of what a person marked."""

from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from torch import Tensor

# Okabe and Ito's colours, told apart by colour-blind readers and absent from the heat map's black-red-yellow.
SPURIOUS_COLOUR = (0.34, 0.71, 0.91)
RELEVANT_COLOUR = (0.0, 0.62, 0.45)
HEAT = "inferno"


def overlay(image: Tensor, saliency: Tensor, annotation: Tensor, limit: float, side: int = 160) -> Any:
    """Draw a sample twice, side by side: as it is, and under its heat map. Marked regions are outlined in both, spurious
    ones in sky blue, relevant ones in green.

    Args:
        image: ``(C, H, W)``; a row of a table ``(F,)`` is drawn as one line of cells.
        saliency: ``(h, w)``, or ``(F,)``, at least 0.
        annotation: ``(1, H, W)``, or ``(F,)``.
        limit: The saliency that gets the brightest colour; one limit for maps that are to be compared.
        side: Least height or width in pixels.

    Returns:
        ``uint8`` array ``(height, width, 3)``.

    Example:
        >>> overlay(torch.rand(1, 8, 8), torch.rand(8, 8), torch.zeros(1, 8, 8), limit=1.0).shape
        (160, 324, 3)
    """
    left = outlined(enlarge(picture(image), side), annotation)
    right = outlined(heated(image, saliency, limit, side), annotation)
    gap = np.ones((left.shape[0], 4, 3))
    return to_bytes(np.concatenate([left, gap, right], axis=1))


def picture(image: Tensor) -> Any:
    """An input as an RGB array ``(H, W, 3)`` in [0, 1], stretched to its own range."""
    pixels = image.detach().float().cpu().nan_to_num()
    pixels = pixels.view(1, 1, -1) if pixels.ndim == 1 else pixels.view(-1, *pixels.shape[-2:])
    if pixels.shape[0] != 3:
        pixels = pixels.mean(0, keepdim=True).expand(3, -1, -1)
    low, high = pixels.min(), pixels.max()
    return ((pixels - low) / (high - low).clamp(min=1e-12)).permute(1, 2, 0).numpy()


def heated(image: Tensor, saliency: Tensor, limit: float, side: int) -> Any:
    """The dimmed input with the heat map over it, the more opaque the stronger."""
    base = enlarge(picture(image), side)
    strength = saliency.detach().float().cpu().nan_to_num().reshape(-1, saliency.shape[-1])
    strength = (strength / max(limit, 1e-30)).clamp(0, 1).nan_to_num()
    grid = torch.nn.functional.interpolate(strength[None, None], size=base.shape[:2], mode="nearest")[0, 0].numpy()
    heat = colormaps[HEAT](grid)[..., :3]
    opacity = 0.6 + 0.4 * grid[..., None]
    return (1 - opacity) * base.mean(-1, keepdims=True) + opacity * heat


def outlined(pixels: Any, annotation: Tensor) -> Any:
    """The picture with the borders of the marked regions drawn on it."""
    marks = annotation.detach().float().cpu().reshape(1, 1, -1, annotation.shape[-1])
    signs = torch.nn.functional.interpolate(marks, size=pixels.shape[:2], mode="nearest")[0, 0].numpy()
    pixels = pixels.copy()
    width = max(1, min(pixels.shape[:2]) // 70)
    for region, colour in ((signs < 0, SPURIOUS_COLOUR), (signs > 0, RELEVANT_COLOUR)):
        if not region.all():
            pixels[region & ~_eroded(region, width)] = colour
    return pixels


def enlarge(pixels: Any, side: int) -> Any:
    """Repeat pixels until the longer side reaches ``side``, or shrink to it."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    if longest > 2 * side:
        step = longest // side
        return pixels[::step, ::step]
    times = max(1, -(-side // longest))
    tall = max(times, -(-side // (4 * height)))  # a table's row stays visible
    return pixels.repeat(tall, axis=0).repeat(times, axis=1)


def to_bytes(pixels: Any) -> Any:
    return (np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)


def _eroded(region: Any, width: int) -> Any:
    padded = np.pad(region, width, constant_values=False)
    inner = region.copy()
    for dy in (-width, 0, width):
        for dx in (-width, 0, width):
            inner &= padded[width + dy : width + dy + region.shape[0], width + dx : width + dx + region.shape[1]]
    return inner
