"""Fills a region when its feature is removed, without adding evidence of anything else."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from salreg.interventions.boxes import Boxes, Sources, boxes_around

Fill = Literal["mirror", "diffusion", "mean", "blur"]

_WINDOW = 3  # sides of the widest box, of which the surroundings of all are cut out
_POOL = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def filled(inputs: Tensor, region: Tensor, how: Fill = "mirror") -> Tensor:
    """Fill a region of each sample from its surroundings.

    Args:
        inputs: ``(B, C, ...)`` with one to three spatial dimensions, or rows of a table ``(B, F)``, which always get the
            column's mean over the batch.
        region: In [0, 1], ``(B, 1, ...)``; ``(B, F)`` for rows. Soft values mix old and new.
        how: ``mirror`` reflects the surroundings at the edge of the region's box with the most room, ``diffusion`` continues
            them smoothly into the region, ``mean`` uses their mean, and ``blur`` the blurred sample itself.

    Returns:
        A tensor like the inputs. A region that covers everything has no surroundings; it is filled with the sample's mean.

    Raises:
        ValueError: ``how`` is unknown.

    Example:
        >>> x, region = torch.arange(5.0).view(1, 1, 5), torch.tensor([[[0.0, 0, 1, 0, 0]]])
        >>> filled(x, region, "mean").tolist()
        [[[0.0, 1.0, 2.0, 3.0, 4.0]]]
    """
    if how not in FILLS:
        raise ValueError(f"A region is filled by {', '.join(FILLS)}, not by {how!r}.")
    region = region.to(inputs)
    if inputs.ndim == 2:
        return laid_over(inputs, inputs.mean(0, keepdim=True).expand_as(inputs), region)
    window = _windows(boxes_around(region), inputs.shape[2:])
    near, near_region = (window.shown(one) for one in (inputs, region))
    return window.changed(inputs, laid_over(near, FILLS[how](near, near_region), near_region))


def filled_by_feature(inputs: Tensor, region: Tensor, how: Fill) -> Tensor:
    """Fill whole steps of series ``(B, 1, T, F)`` along the time, so that no feature gets values of another's unit."""
    by_feature = filled(inputs.squeeze(1).transpose(1, 2), region[..., 0], how)
    return by_feature.transpose(1, 2).unsqueeze(1)


def laid_over(inputs: Tensor, other: Tensor, region: Tensor) -> Tensor:
    """Another tensor in place of a region, softly where the region is soft; outside, nothing changes."""
    return torch.where(region > 0, torch.lerp(inputs, other, region), inputs)


def _windows(boxes: Boxes, shape: Sequence[int]) -> Sources:
    """The places of windows around the boxes, all of one size: a box with its surroundings."""
    widest = boxes.sides.amax(1).tolist()
    window = []
    for size, side, first in zip(shape, widest, boxes.first, strict=True):
        length = min(size, _WINDOW * max(side, 1))
        start = (first - side).clamp(0, size - length)
        window.append(start.unsqueeze(1) + torch.arange(length, device=start.device))
    return Sources(window, shape)


def diffused(inputs: Tensor, region: Tensor) -> Tensor:
    """The surroundings continued smoothly into the region (a pull-push pyramid: Gortler et al. 1996, section 3.4.4)."""
    known = (region <= 0).to(inputs)
    return _pull_push(torch.cat([inputs * known, known], 1))


def _pull_push(weighted: Tensor) -> Tensor:
    """The values of a grid, its last channel being how much of them is known: there themselves, elsewhere interpolated."""
    known = weighted[:, -1:]
    here = weighted[:, :-1] / known.clamp(min=1e-12)
    size = weighted.shape[2:]
    if max(size) == 1:
        return here
    coarse = _POOL[len(size)](weighted, [min(2, one) for one in size], ceil_mode=True)
    behind = functional.interpolate(_pull_push(coarse), size, mode=_LINEAR[len(size)], align_corners=False)
    return torch.lerp(behind, here, known)


def _mean(inputs: Tensor, region: Tensor) -> Tensor:
    """The mean of the ring around the region, as wide as half of its box."""
    boxes = boxes_around(region)
    ring = torch.ones_like(region)
    for axis, size in enumerate(region.shape[2:]):
        place = torch.arange(size, device=region.device)
        first, last = boxes.first[axis, :, None], boxes.last[axis, :, None]
        margin = (last - first + 2) // 2
        along = (place >= first - margin) & (place <= last + margin)
        ring = ring * along.view(len(ring), 1, *(size if other == axis else 1 for other in range(ring.ndim - 2)))
    weight = ring * (region <= 0)
    weight = weight + _without(weight, inputs)
    axes = list(range(2, inputs.ndim))
    return ((inputs * weight).sum(axes, keepdim=True) / weight.sum(axes, keepdim=True)).expand_as(inputs)


def _mirrored(inputs: Tensor, region: Tensor) -> Tensor:
    """The surroundings reflected at the edge with most room; what is not outside the region there is diffused."""
    boxes, shape = boxes_around(region), inputs.shape[2:]
    sizes = torch.tensor(shape, device=inputs.device).unsqueeze(1)
    room = torch.cat([boxes.first, sizes - 1 - boxes.last]) / boxes.sides.clamp(min=1).repeat(2, 1)
    widest = room.argmax(0).unsqueeze(1)  # of all axes the side before the box, then of all the side behind it
    sources = []
    for axis, size in enumerate(shape):
        place = torch.arange(size, device=inputs.device)
        before, behind = (2 * one[axis, :, None] - place + shift for one, shift in ((boxes.first, -1), (boxes.last, 1)))
        reflected = torch.where(widest == axis, before, torch.where(widest == axis + len(shape), behind, place))
        sources.append(reflected.clamp(0, size - 1))
    reflection = Sources(sources, shape)
    return torch.where(reflection.shown(region) <= 0, reflection.shown(inputs), _diffused(inputs, region))


def _blurred(inputs: Tensor, region: Tensor) -> Tensor:
    size = [2 * (one // 8) + 1 for one in inputs.shape[2:]]
    pool = _POOL[len(size)]
    for _ in range(3):  # three boxes are nearly a Gaussian
        inputs = pool(inputs, size, 1, [one // 2 for one in size], count_include_pad=False)
    return inputs


def _diffused(inputs: Tensor, region: Tensor) -> Tensor:
    mean = inputs.mean(list(range(2, inputs.ndim)), keepdim=True)
    return torch.where(_without((region <= 0).to(inputs), inputs) > 0, mean, diffused(inputs, region))


def _without(weight: Tensor, inputs: Tensor) -> Tensor:
    """1 for samples whose weights are all 0, which have no surroundings; shaped to broadcast over the inputs."""
    return weight.flatten(1).sum(1).eq(0).to(inputs).view(-1, *[1] * (inputs.ndim - 1))


FILLS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mirror": _mirrored,
    "diffusion": _diffused,
    "mean": _mean,
    "blur": _blurred,
}
