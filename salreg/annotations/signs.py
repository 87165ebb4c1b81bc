"""The signed map: its values, its two sides, and its alignment with a saliency map."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

SPURIOUS, UNKNOWN, RELEVANT = -1, 0, 1
#: Where a text has nothing to look at: padding, and special tokens. Never marked, never counted.
NO_PLACE = 127


class Marks(NamedTuple):
    """The two sides of an annotation, both in ``[0, 1]`` and of the annotation's shape."""

    spurious: Tensor
    relevant: Tensor


def marks(annotation: Tensor) -> Marks:
    """Split an annotation into its spurious and relevant sides.

    Example:
        >>> marks(torch.tensor([-1.0, 0.0, 0.5])).spurious.tolist()
        [1.0, 0.0, 0.0]
    """
    return Marks(spurious=annotation.clamp(max=0).abs(), relevant=annotation.clamp(min=0) * places(annotation))


def places(annotation: Tensor) -> Tensor:
    """Which places are not padding, ``(B, ...)`` booleans: everything except ``NO_PLACE``.

    Example:
        >>> places(torch.tensor([-1, 0, 1, NO_PLACE])).tolist()
        [True, True, True, False]
    """
    return annotation <= RELEVANT


def is_annotated(annotation: Tensor) -> Tensor:
    """Which samples of a batch of annotations ``(B, ...)`` carry a mark: ``(B,)`` booleans."""
    rows = annotation.flatten(1)
    if not rows.shape[1]:
        return torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    highest = rows.amax(1)
    if (highest > RELEVANT).any():
        rows = rows * places(rows)
        highest = rows.amax(1)
    return (rows.amin(1) < 0) | (highest > 0)  # several times faster than rows.any(1)


def check(annotation: Tensor, owner: str = "The annotation") -> None:
    """Raise a ``ValueError`` naming ``owner`` unless the annotation's values are numbers in ``[-1, 1]``, or ``NO_PLACE``."""
    if annotation.dtype == torch.bool:
        raise ValueError(
            f"{owner} is boolean, which does not say what True means: "
            "use annotations.from_mask(spurious=mask) or from_mask(relevant=mask)."
        )
    if annotation.is_floating_point() and annotation.isnan().any():
        raise ValueError(f"{owner} contains NaN; 0 means unknown.")
    if annotation.ndim < 3:  # of a text
        annotation = annotation[annotation != NO_PLACE]
    if annotation.numel() and (annotation.min() < -1 or annotation.max() > 1):
        raise ValueError(
            f"{owner} has values from {annotation.min().item():g} to {annotation.max().item():g}; they must lie in "
            "[-1, 1] (-1 spurious, 0 unknown, +1 relevant). annotations.from_mask makes one from a mask."
        )


def fits(annotation: Tensor, saliency: Tensor) -> bool:
    """Whether annotations are laid out like maps: with the same shape, or a single channel. Annotations of texts ``(B, T)``
    also fit maps of embedded tokens ``(B, E, T)``."""
    if _are_of_tokens(annotation, saliency):
        annotation = annotation.unsqueeze(1)
    return annotation.ndim == saliency.ndim and all(
        mark == pixel or (axis == 1 and mark == 1 and saliency.ndim > 2)
        for axis, (mark, pixel) in enumerate(zip(annotation.shape, saliency.shape, strict=True))
    )


def align(annotation: Tensor, saliency: Tensor) -> Tensor:
    """Bring a batch of annotations to the type, device and number of axes of its saliency maps, checking that the two fit.

    Where a map of images has a single channel, a place is marked if it is marked in any channel.

    Raises:
        ValueError: The shapes differ in more than the number of channels (one channel is enough).
    """
    given = tuple(annotation.shape)
    if annotation.ndim > 3 and saliency.shape[1:2] == (1,) and annotation.shape[1] > 1:
        annotation = in_any_channel(annotation)
    if not fits(annotation, saliency):
        raise ValueError(
            f"Annotations of shape {given} do not fit saliency maps of shape {tuple(saliency.shape)}. "
            "An annotation is laid out like its sample's map: (1, H, W) for an image, (T,) for a text, (F,) for a table's row, "
            "(T, F) for steps or points with features: annotation.unsqueeze(-1).expand(-1, F). If the model's input is "
            "resized, cropped or padded on the way, do the same to the annotation."
        )
    if _are_of_tokens(annotation, saliency):
        annotation = annotation.unsqueeze(1)
    return annotation.to(saliency)


def in_any_channel(annotation: Tensor) -> Tensor:
    """Annotations ``(B, C, ...)`` with one channel, in which a mark of any channel counts, and spurious marks before relevant
    ones."""
    lowest = annotation.amin(1, keepdim=True)
    return torch.where(lowest < 0, lowest, annotation.amax(1, keepdim=True))


def as_places(maps: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
    """Maps (or inputs) and their annotations, so that dimension 1 holds the channels of a place.

    It does already if annotations have a single channel, or mark all channels of an image alike. Annotations that mark each
    element by itself, such as those of a series ``(B, T, F)``, make each element a place with one channel: ``(B, 1, T, F)``.

    Example:
        >>> maps, annotation = torch.rand(2, 7, 3), torch.zeros(2, 7, 3)
        >>> as_places(maps, annotation)[0].shape, as_places(maps, annotation[:, :1])[0].shape
        (torch.Size([2, 1, 7, 3]), torch.Size([2, 7, 3]))
    """
    by_channel = annotation.ndim > 2 and annotation.shape[1] > 1
    if not by_channel or (annotation.ndim > 3 and bool((annotation == annotation[:, :1]).all())):
        return maps, annotation
    return maps.unsqueeze(1), annotation.unsqueeze(1)


def coarsen(annotation: Tensor, size: tuple[int, int]) -> Tensor:
    """Average image annotations ``(B, 1, H, W)`` over the cells of a layer's grid ``(h, w)``.

    A cell that is partly marked becomes a soft mark. The two sides are averaged separately, so a cell with both gets their
    difference.
    """
    if annotation.ndim != 4:
        raise ValueError(f"A layer's map needs image annotations (B, 1, H, W), not {tuple(annotation.shape)}.")
    spurious, relevant = (adaptive_avg_pool2d(side.float(), size) for side in marks(annotation))
    return relevant - spurious


def resized(annotation: Tensor, size: tuple[int, ...]) -> Tensor:
    """An annotation ``(1, H, W)``, or ``(1, D, H, W)`` of a volume, resized by nearest neighbour.

    The strength of marks does not change.
    """
    return interpolate(annotation.unsqueeze(0).float(), size, mode="nearest-exact").squeeze(0).to(annotation.dtype)


def _are_of_tokens(annotation: Tensor, saliency: Tensor) -> bool:
    return annotation.ndim == 2 and saliency.ndim == 3
