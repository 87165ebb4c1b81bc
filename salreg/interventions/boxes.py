"""The boxes around regions, and grids that show what lies at other places, told axis by axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Boxes:
    """The smallest box around each region.

    Attributes:
        first: Its first place along each axis of space, ``(axes, B)``; behind the grid if the region is empty.
        last: Its last place, likewise; -1 if the region is empty.
    """

    first: Tensor
    last: Tensor

    @cached_property
    def sides(self) -> Tensor:
        """The number of places along each axis; below 1 if the region is empty."""
        return self.last - self.first + 1


def boxes_around(region: Tensor) -> Boxes:
    """The boxes around regions ``(B, 1, ...)`` in [0, 1]: around all places above 0.

    Example:
        >>> region = torch.zeros(1, 1, 4, 4)
        >>> region[..., 1:3, 2] = 1
        >>> boxes = boxes_around(region)
        >>> boxes.first.flatten().tolist(), boxes.last.flatten().tolist()
        ([1, 2], [2, 2])
    """
    axes = range(2, region.ndim)
    first, last = [], []
    for axis in axes:
        inside = region.sum([one for one in (1, *axes) if one != axis]) > 0
        place = torch.arange(region.shape[axis], device=region.device)
        first.append(place.where(inside, region.shape[axis]).amin(1))
        last.append(place.where(inside, -1).amax(1))
    return Boxes(torch.stack(first), torch.stack(last))


def stretched(into: Boxes, out_of: Boxes, shape: Sequence[int]) -> list[Tensor]:
    """The places of one box that are shown at those of another, by the nearest neighbour.

    Args:
        into: The boxes that are filled.
        out_of: The boxes that are stretched over them.
        shape: The number of places along each axis.

    Returns:
        For each axis, the place that is shown at each place ``(B, size)``; outside the box, some place of the grid.
    """
    sources = []
    for size, first, side, start, length in zip(shape, into.first, into.sides, out_of.first, out_of.sides, strict=True):
        offset = torch.arange(size, device=first.device) - first.unsqueeze(1)
        # In whole numbers: the middle of each place of one box, on the scale of the other.
        middle, extent = (2 * offset + 1) * length.unsqueeze(1), 2 * side.clamp(min=1).unsqueeze(1)
        sources.append((start.unsqueeze(1) + middle.div(extent, rounding_mode="floor")).clamp(0, size - 1))
    return sources


def flat_places(sources: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    """The numbers, counted row by row, of the places that lie along each axis at ``sources`` ``(B, n)``: ``(B, 1, places)``."""
    flat = sources[0]
    for size, along in zip(shape[1:], sources[1:], strict=True):
        flat = torch.add(along.unsqueeze(1), flat.unsqueeze(2), alpha=size).flatten(1)
    return flat.unsqueeze(1)


def taken(values: Tensor, sources: Sequence[Tensor]) -> Tensor:
    """What grids ``(B, C, ...)`` show at other places, given for each axis ``(B, n)``: grids of n places along it."""
    flat = flat_places(sources, values.shape[2:]).expand(-1, values.shape[1], -1)
    return values.flatten(2).gather(2, flat).unflatten(2, [one.shape[1] for one in sources])
