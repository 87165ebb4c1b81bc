"""What a region is filled with when the thing in it is taken away: evidence of nothing else."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from salreg.interventions.boxes import boxes_around, flat_places, taken

Fill = Literal["mirror", "diffusion", "mean", "blur"]

_POOL = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def filled(inputs: Tensor, region: Tensor, how: Fill = "mirror") -> Tensor:
    """Fill a region of each sample from what surrounds it.

    Args:
        inputs: ``(B, C, ...)`` of one to three dimensions of space, or rows of a table ``(B, F)``, which take the column's
            mean over the batch whatever ``how`` says.
        region: In [0, 1], ``(B, 1, ...)``; ``(B, F)`` for rows. Soft values mix old and new.
        how: ``mirror`` reflects the surroundings at the edge of the region's box where there is most room, ``diffusion``
            continues them smoothly into the region, ``mean`` is their mean, and ``blur`` the blurred sample itself.

    Returns:
        A tensor like the inputs. A region that covers everything has no surroundings; it is filled with the sample's mean.

    Raises:
        ValueError: Another word.

    Example:
        >>> x, region = torch.arange(5.0).view(1, 1, 5), torch.tensor([[[0.0, 0, 1, 0, 0]]])
        >>> filled(x, region, "mean").tolist()
        [[[0.0, 1.0, 2.0, 3.0, 4.0]]]
    """
    if how not in FILLS:
        raise ValueError(f"A region is filled by {', '.join(FILLS)}, not by {how!r}.")
    region = region.to(inputs)
    other = inputs.mean(0, keepdim=True).expand_as(inputs) if inputs.ndim == 2 else FILLS[how](inputs, region)
    return laid_over(inputs, other, region)


def laid_over(inputs: Tensor, other: Tensor, region: Tensor) -> Tensor:
    """Another tensor in place of a region, softly where the region is soft; outside, nothing changes."""
    return torch.where(region > 0, torch.lerp(inputs, other, region), inputs)


def diffused(inputs: Tensor, region: Tensor) -> Tensor:
    """The surroundings continued smoothly into the region (a pull-push pyramid: Gortler et al. 1996, section 3.4.4)."""
    known = (region <= 0).to(inputs)
    return _pull_push(inputs * known, known)


def _pull_push(values: Tensor, known: Tensor) -> Tensor:
    """Values where they are known (weighted by how much of them is), and an interpolation elsewhere."""
    here = values / known.clamp(min=1e-12)
    size = values.shape[2:]
    if max(size) == 1:
        return here
    axes = len(size)
    window = [min(2, one) for one in size]
    coarse = [_POOL[axes](one, window, ceil_mode=True) for one in (values, known)]  # type: ignore[operator]
    behind = functional.interpolate(_pull_push(*coarse), size, mode=_LINEAR[axes], align_corners=False)
    return torch.lerp(behind, here, known.clamp(max=1))


def _mean(inputs: Tensor, region: Tensor) -> Tensor:
    """The mean of the ring around the region, as wide as half of its box."""
    boxes = boxes_around(region)
    ring = torch.ones_like(region)
    for axis, size in enumerate(region.shape[2:]):
        place = torch.arange(size, device=region.device)
        first, last = boxes.first[:, axis, None], boxes.last[:, axis, None]
        margin = (last - first + 2) // 2
        along = (place >= first - margin) & (place <= last + margin)
        ring = ring * along.view(len(ring), 1, *(size if other == axis else 1 for other in range(ring.ndim - 2)))
    weight = ring * (region <= 0)
    alone = weight.flatten(1).sum(1).eq(0).view(-1, *[1] * (weight.ndim - 1))
    weight = weight + alone  # no surroundings: all of the sample
    axes = list(range(2, inputs.ndim))
    return ((inputs * weight).sum(axes, keepdim=True) / weight.sum(axes, keepdim=True)).expand_as(inputs)


def _mirrored(inputs: Tensor, region: Tensor) -> Tensor:
    """The surroundings reflected at the edge with most room; what has none there is diffused."""
    boxes = boxes_around(region)
    shape = inputs.shape[2:]
    sizes = torch.tensor(shape, device=inputs.device)
    room = torch.stack([boxes.first, sizes - 1 - boxes.last])  # before and behind the box, along each axis
    side, axis = (
        torch.div(
            best := (room / boxes.size.clamp(min=1)).transpose(0, 1).flatten(1).argmax(1), len(shape), rounding_mode="floor"
        ),
        best % len(shape),
    )
    sources = []
    for number, size in enumerate(shape):
        place = torch.arange(size, device=inputs.device).expand(len(inputs), size)
        first, last = boxes.first[:, number, None], boxes.last[:, number, None]
        reflected = torch.where(side.unsqueeze(1) == 0, 2 * first - 1 - place, 2 * last + 1 - place)
        sources.append(torch.where((axis == number).unsqueeze(1), reflected, place).clamp(0, size - 1))
    places = flat_places(sources, shape)
    clean = taken((region <= 0).to(inputs), places) > 0
    mirrored = taken(inputs, places)
    if (clean | (region <= 0)).all():
        return mirrored
    return torch.where(clean, mirrored, diffused(inputs, region))


def _blurred(inputs: Tensor, region: Tensor) -> Tensor:
    size = [2 * (one // 8) + 1 for one in inputs.shape[2:]]
    pool = _POOL[len(size)]
    for _ in range(3):  # three boxes are nearly a Gaussian
        inputs = pool(inputs, size, 1, [one // 2 for one in size], count_include_pad=False)  # type: ignore[operator]
    return inputs


def _diffused(inputs: Tensor, region: Tensor) -> Tensor:
    everything = (region > 0).flatten(1).all(1).view(-1, *[1] * (inputs.ndim - 1))
    mean = inputs.mean(list(range(2, inputs.ndim)), keepdim=True)
    return torch.where(everything, mean, diffused(inputs, region))


FILLS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mirror": _mirrored,
    "diffusion": _diffused,
    "mean": _mean,
    "blur": _blurred,
}
