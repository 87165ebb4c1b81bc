"""What a person marked on a sample: one signed map per sample.

An annotation is a tensor laid out like the sample's saliency map (image ``(1, H, W)``, text ``(T,)``,
tabular ``(F,)``) with values in ``[-1, 1]``: **-1 spurious, +1 relevant, 0 unknown**; values in between are
soft marks. An annotation of zeros means that nobody looked at the sample.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

SPURIOUS, UNKNOWN, RELEVANT = -1, 0, 1
_VALUE = {"spurious": SPURIOUS, "unknown": UNKNOWN, "relevant": RELEVANT}


class Marks(NamedTuple):
    """The two sides of an annotation, both in ``[0, 1]`` and of the annotation's shape."""

    spurious: Tensor
    relevant: Tensor


def from_mask(*, spurious: Any = None, relevant: Any = None) -> Tensor:
    """Make an annotation from masks.

    Args:
        spurious: What the model must not use, ``(H, W)``, ``(1, H, W)``, ``(T,)`` or ``(F,)``; booleans, or
            numbers in ``[0, 1]``. Tensor or array.
        relevant: What the model should use, likewise.

    Returns:
        ``(1, H, W)`` for images, the mask's own shape otherwise; ``int8`` for binary masks, ``float32`` for soft ones.

    Raises:
        ValueError: No mask, values outside ``[0, 1]``, masks of different shapes, or a place marked as both.

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
        raise ValueError("Some places are marked both spurious and relevant; take them out of one mask.")
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
        boxes: ``(x1, y1, x2, y2)`` in pixels, the right and lower edges excluded; fractions are rounded outwards and
            what reaches past the border is cut off.
        size: ``(H, W)`` of the image.
        outside: What everything outside the boxes is.
        inside: What everything inside them is.

    Returns:
        ``int8`` tensor ``(1, H, W)``.

    Raises:
        ValueError: A box that is empty or lies outside the image, or an unknown word.

    Example:
        >>> from_boxes([(0, 0, 2, 1)], size=(2, 3), outside="spurious").tolist()
        [[[1, 1, -1], [-1, -1, -1]]]
    """
    if outside not in ("unknown", "spurious") or inside not in ("relevant", "spurious"):
        raise ValueError(
            f"outside is 'unknown' or 'spurious' and inside 'relevant' or 'spurious', not {outside!r} and {inside!r}."
        )
    if outside == inside:
        raise ValueError("Inside and outside are both 'spurious': nothing is left to look at.")
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


def marks(annotation: Tensor) -> Marks:
    """Split an annotation into its spurious and relevant sides.

    Example:
        >>> marks(torch.tensor([-1.0, 0.0, 0.5])).spurious.tolist()
        [1.0, 0.0, 0.0]
    """
    return Marks(spurious=annotation.clamp(max=0).abs(), relevant=annotation.clamp(min=0))


def is_annotated(annotation: Tensor) -> Tensor:
    """Which samples of a batch of annotations ``(B, ...)`` carry a mark: ``(B,)`` booleans."""
    rows = annotation.flatten(1)
    return (rows.amin(1) < 0) | (rows.amax(1) > 0)  # several times faster than rows.any(1)


def check(annotation: Tensor, owner: str = "The annotation") -> None:
    """Raise a ``ValueError`` naming ``owner`` unless the annotation's values are numbers in ``[-1, 1]``."""
    if annotation.dtype == torch.bool:
        raise ValueError(
            f"{owner} is boolean, which does not say what True means: "
            "use annotations.from_mask(spurious=mask) or from_mask(relevant=mask)."
        )
    if annotation.is_floating_point() and annotation.isnan().any():
        raise ValueError(f"{owner} contains NaN; 0 means unknown.")
    if annotation.numel() and (annotation.min() < -1 or annotation.max() > 1):
        raise ValueError(
            f"{owner} has values from {annotation.min().item():g} to {annotation.max().item():g}; they must lie in "
            "[-1, 1] (-1 spurious, 0 unknown, +1 relevant). annotations.from_mask makes one from a mask."
        )


def fits(annotation: Tensor, saliency: Tensor) -> bool:
    """Whether annotations are laid out like maps: the same shape, but for the channels, where one is enough."""
    return annotation.ndim == saliency.ndim and all(
        mark == pixel or (axis == 1 and mark == 1 and saliency.ndim > 2)
        for axis, (mark, pixel) in enumerate(zip(annotation.shape, saliency.shape, strict=True))
    )


def align(annotation: Tensor, saliency: Tensor) -> Tensor:
    """Bring a batch of annotations to the type and device of its saliency maps, checking that the two fit.

    Raises:
        ValueError: The shapes differ in anything but the number of channels, where one is enough.
    """
    if not fits(annotation, saliency):
        raise ValueError(
            f"Annotations of shape {tuple(annotation.shape)} do not fit saliency maps of shape {tuple(saliency.shape)}. "
            "An annotation is laid out like its sample's map: (1, H, W) for an image, (F,) for a table's row. "
            "If the model's input is resized or cropped on the way, do the same to the annotation."
        )
    return annotation.to(saliency)


def coarsen(annotation: Tensor, size: tuple[int, int]) -> Tensor:
    """Average image annotations ``(B, 1, H, W)`` over the cells of a layer's grid ``(h, w)``.

    A cell that is partly marked becomes a soft mark. The two sides are averaged apart, so that a cell which holds both
    gets their difference.
    """
    if annotation.ndim != 4:
        raise ValueError(f"A layer's map needs image annotations (B, 1, H, W), not {tuple(annotation.shape)}.")
    spurious, relevant = (adaptive_avg_pool2d(side.float(), size) for side in marks(annotation))
    return relevant - spurious


def _as_mask(mask: Any, name: str) -> Tensor:
    mask = torch.as_tensor(mask).float()
    if mask.isnan().any() or (mask.numel() and (mask.min() < 0 or mask.max() > 1)):
        raise ValueError(
            f"The {name} mask must be boolean or lie in [0, 1] (it spans {mask.min().item():g} to "
            f"{mask.max().item():g}); for a 0/255 image pass mask > 0."
        )
    return mask.unsqueeze(0) if mask.ndim == 2 else mask
