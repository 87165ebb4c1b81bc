"""Draws an image under its heat map, with the marked regions outlined."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from salreg.plotting.colours import HEAT, RELEVANT_COLOUR, SPURIOUS_COLOUR, colour_map


def picture(image: Tensor) -> Any:
    """An image as an RGB array ``(H, W, 3)``, its range stretched to [0, 1]."""
    pixels = image.detach().float().cpu().nan_to_num()
    pixels = pixels.view(-1, *pixels.shape[-2:])
    if pixels.shape[0] != 3:
        pixels = pixels.mean(0, keepdim=True).expand(3, -1, -1)
    low, high = pixels.min(), pixels.max()
    return ((pixels - low) / (high - low).clamp(min=1e-12)).permute(1, 2, 0).numpy()


def heated(image: Tensor, saliency: Tensor, limit: float, side: int) -> Any:
    """The dimmed input with the heat map over it, more opaque for higher saliency."""
    base = enlarge(picture(image), side)
    strength = saliency.detach().float().cpu().nan_to_num().reshape(-1, saliency.shape[-1])
    strength = (strength / max(limit, 1e-30)).clamp(0, 1).nan_to_num()
    grid = torch.nn.functional.interpolate(strength[None, None], size=base.shape[:2], mode="nearest")[0, 0].numpy()
    heat = colour_map(HEAT)(grid)[..., :3]
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
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


def to_bytes(pixels: Any) -> Any:
    return (np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)


def _eroded(region: Any, width: int) -> Any:
    padded = np.pad(region, width, constant_values=False)
    inner = region.copy()
    for dy in (-width, 0, width):
        for dx in (-width, 0, width):
            inner &= padded[width + dy : width + dy + region.shape[0], width + dx : width + dx + region.shape[1]]
    return inner
