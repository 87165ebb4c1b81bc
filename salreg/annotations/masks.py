"""Annotations from masks and boxes."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from salreg.annotations.signs import RELEVANT, SPURIOUS, UNKNOWN

_VALUE = {"spurious": SPURIOUS, "unknown": UNKNOWN, "relevant": RELEVANT}


def from_mask(*, spurious: Any = None, relevant: Any = None) -> Tensor:
    """Make an annotation from masks.

    Args:
        spurious: What the model must not use: a tensor or array ``(H, W)``, ``(1, H, W)``, ``(T,)`` or ``(F,)`` of booleans, or
            of numbers in ``[0, 1]``.
        relevant: What the model should use, in the same form.

    Returns:
        ``(1, H, W)`` for images, the mask's own shape otherwise; ``int8`` for binary masks, ``float32`` for soft ones.

    Raises:
        ValueError: There is no mask, values are outside ``[0, 1]``, the masks differ in shape, or a place is marked as both.

    Example:
        >>> mask = torch.zeros(4, 4, dtype=torch.bool)
        >>> mask[:2, :2] = True
        >>> from_mask(spurious=mask).sum().item()
        -4
    """
    masks = {name: _as_mask(mask, name) for name, mask in (("spurious", spurious), ("relevant", relevant)) if mask is not None}
    if not masks:
        raise ValueError("from_mask needs spurious=..., relevant=... or both.")
    if len({mask.shape for mask in masks.values()}) > 1:
        raise ValueError(f"The masks differ in shape: { {name: tuple(mask.shape) for name, mask in masks.items()} }.")
    if len(masks) == 2 and ((masks["spurious"] > 0) & (masks["relevant"] > 0)).any():
        raise ValueError("Some places are marked both spurious and relevant; remove them from one mask.")
    annotation = sum(_VALUE[name] * mask for name, mask in masks.items())
    assert isinstance(annotation, Tensor)
    binary = bool(((annotation == 0) | (annotation.abs() == 1)).all())
    return annotation.to(torch.int8) if binary else annotation


def from_boxes(
    boxes: Iterable[Sequence[float]],
    size: tuple[int, int],
    outside: Literal["unknown", "spurious"] = "unknown",
    inside: Literal["relevant", "spurious"] = "relevant",
) -> Tensor:
    """Make an image annotation from boxes.

    Args:
        boxes: ``(x1, y1, x2, y2)`` in pixels, the right and lower edges excluded; fractions are rounded outwards, and boxes are
            clipped at the border.
        size: ``(H, W)`` of the image.
        outside: How to mark everything outside the boxes.
        inside: How to mark everything inside them.

    Returns:
        ``int8`` tensor ``(1, H, W)``.

    Raises:
        ValueError: A box is empty or lies outside the image, or ``outside`` or ``inside`` is unknown.

    Example:
        >>> from_boxes([(0, 0, 2, 1)], size=(2, 3), outside="spurious").tolist()
        [[[1, 1, -1], [-1, -1, -1]]]
    """
    if outside not in ("unknown", "spurious") or inside not in ("relevant", "spurious"):
        raise ValueError(
            f"outside must be 'unknown' or 'spurious', and inside must be 'relevant' or 'spurious', not {outside!r} and "
            f"{inside!r}."
        )
    if outside == inside:
        raise ValueError("Inside and outside are both 'spurious': nothing is left for the model to use.")
    height, width = size
    annotation = torch.full((1, height, width), _VALUE[outside], dtype=torch.int8)
    for box in boxes:
        x1, y1, x2, y2 = (float(edge) for edge in box)
        left, top = max(int(x1 // 1), 0), max(int(y1 // 1), 0)
        right, bottom = min(int(-(-x2 // 1)), width), min(int(-(-y2 // 1)), height)
        if left >= right or top >= bottom:
            raise ValueError(f"Box {tuple(box)} (x1, y1, x2, y2) covers nothing of an image of size (H, W) = {size}.")
        annotation[:, top:bottom, left:right] = _VALUE[inside]
    return annotation


def _as_mask(mask: Any, name: str) -> Tensor:
    mask = torch.as_tensor(mask).float()
    if mask.isnan().any() or (mask.numel() and (mask.min() < 0 or mask.max() > 1)):
        raise ValueError(
            f"The {name} mask must be boolean or lie in [0, 1] (it spans {mask.min().item():g} to "
            f"{mask.max().item():g}); for a 0/255 image pass mask > 0."
        )
    return mask.unsqueeze(0) if mask.ndim == 2 else mask
