"""The places of regions, the boxes around them, and places carried from one box to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Places:
    """All places of a batch of regions, one after the other.

    Attributes:
        row: The sample of each ``(N,)``.
        along: Where it lies along each axis of space ``(axes, N)``.
        shape: Of the space.
    """

    row: Tensor
    along: Tensor
    shape: Sequence[int]

    @cached_property
    def flat(self) -> Tensor:
        """The number of each place in its sample, counted row by row."""
        number = self.along[0]
        for size, along in zip(self.shape[1:], self.along[1:], strict=True):
            number = torch.add(along, number, alpha=size)
        return number


@dataclass(frozen=True)
class Boxes:
    """The smallest box around each region: its first and last place along each axis ``(axes, B)``, both included.

    A region without any place has its last place before its first one.
    """

    first: Tensor
    last: Tensor

    @cached_property
    def sides(self) -> Tensor:
        return self.last - self.first + 1


def places_of(region: Tensor) -> Places:
    """The places of regions ``(B, 1, ...)``: all that is more than 0, or True.

    Example:
        >>> places_of(torch.tensor([[[0.0, 0.5, 1.0]]])).flat.tolist()
        [1, 2]
    """
    found = region[:, 0].nonzero().T
    return Places(found[0], found[1:], region.shape[2:])


def boxes_around(places: Places, size: int) -> Boxes:
    """The boxes of the regions of ``size`` samples.

    Example:
        >>> region = torch.zeros(1, 1, 4, 4)
        >>> region[..., 1:3, 2] = 1
        >>> boxes = boxes_around(places_of(region), 1)
        >>> boxes.first.flatten().tolist(), boxes.last.flatten().tolist()
        ([1, 2], [2, 2])
    """
    axes = len(places.along)
    rows = places.row.expand(axes, -1)
    none = torch.full((axes, size), max(places.shape), device=rows.device)
    first = none.scatter_reduce(1, rows, places.along, "amin")
    last = torch.full_like(none, -1).scatter_reduce(1, rows, places.along, "amax")
    return Boxes(first, last)


def stretched(places: Places, into: Boxes, out_of: Boxes, donor: Tensor) -> Places:
    """The places that others come from when a donor's box is stretched over one's own, by the nearest neighbour.

    Args:
        places: Where something is filled in.
        into: The boxes of their samples.
        out_of: The boxes of the donors.
        donor: The number of each sample's donor ``(B,)``.

    Returns:
        Places in the donors, of which ``row`` is the number.
    """
    source = donor[places.row]
    offset = places.along - into.first[:, places.row]
    # In whole numbers: the middle of each place of one box, on the scale of the other.
    middle, extent = (2 * offset + 1) * out_of.sides[:, source], 2 * into.sides[:, places.row]
    return Places(source, out_of.first[:, source] + middle.div(extent, rounding_mode="floor"), places.shape)


def at(values: Tensor, places: Places) -> Tensor:
    """What tensors ``(B, C, ...)`` hold at places: ``(N, C)``."""
    return values.flatten(2)[places.row, :, places.flat]


def put(values: Tensor, places: Places, new: Tensor) -> Tensor:
    """A copy of tensors ``(B, C, ...)`` that holds something else ``(N, C)`` at places."""
    changed = values.flatten(2).clone()
    changed[places.row, :, places.flat] = new
    return changed.view_as(values)
