"""The boxes around regions, and grids that show what lies at other places, told axis by axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad


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
    axes, longest = range(2, region.ndim), max(region.shape[2:])
    profiles = [region.sum([one for one in (1, *axes) if one != axis]) for axis in axes]
    of_one_length = [one if len(one[0]) == longest else pad(one, (0, longest - len(one[0]))) for one in profiles]
    inside, place = torch.stack(of_one_length) > 0, torch.arange(longest, device=region.device)
    return Boxes(place.where(inside, longest).amin(2), place.where(inside, -1).amax(2))


@dataclass(frozen=True)
class Sources:
    """The place of a grid that each place of another grid shows.

    Attributes:
        along: For each axis, the places ``(B, n)`` that are shown.
        shape: The number of places along each axis of the grid that is shown.
    """

    along: Sequence[Tensor]
    shape: Sequence[int]

    @cached_property
    def flat(self) -> Tensor:
        """The numbers of the places, counted row by row: ``(B, 1, places)``."""
        flat = self.along[0]
        for size, along in zip(self.shape[1:], self.along[1:], strict=True):
            flat = torch.add(along.unsqueeze(1), flat.unsqueeze(2), alpha=size).flatten(1)
        return flat.unsqueeze(1)

    def shown(self, values: Tensor) -> Tensor:
        """What of grids ``(B, C, ...)`` is shown: grids of n places along each axis."""
        flat = self.flat.expand(-1, values.shape[1], -1)
        return values.flatten(2).gather(2, flat).unflatten(2, [one.shape[1] for one in self.along])

    def changed(self, values: Tensor, new: Tensor) -> Tensor:
        """Grids ``(B, C, ...)`` whose places are exchanged for what would be shown of them."""
        into = self.flat.expand(-1, values.shape[1], -1)
        return values.flatten(2).scatter(2, into, new.flatten(2)).view_as(values)


def stretched(into: Boxes, out_of: Boxes, shape: Sequence[int]) -> Sources:
    """The places of one box that are shown at those of another, by the nearest neighbour.

    Args:
        into: The boxes that are filled.
        out_of: The boxes that are stretched over them, none of them empty.
        shape: The number of places along each axis.

    Returns:
        The place that is shown at each place; outside the filled box, some place of the stretched one.
    """
    first, last, length = (one.unsqueeze(2) for one in (out_of.first, out_of.last, out_of.sides))
    offset = torch.arange(max(shape), device=first.device) - into.first.unsqueeze(2)
    # In whole numbers: the middle of each place of one box, on the scale of the other.
    middle, extent = (2 * offset + 1) * length, 2 * into.sides.clamp(min=1).unsqueeze(2)
    sources = (first + middle.div(extent, rounding_mode="floor")).clamp(first, last)
    return Sources([along[:, :size] for size, along in zip(shape, sources, strict=True)], shape)
