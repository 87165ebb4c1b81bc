"""The places of regions, the boxes around them, and places carried from one box to another."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Places(NamedTuple):
    """All places of a batch of regions, one after the other.

    Attributes:
        row: The sample of each ``(N,)``.
        along: Where it lies along each axis of space, ``(N,)`` each.
        shape: Of the space.
    """

    row: Tensor
    along: tuple[Tensor, ...]
    shape: Sequence[int]

    @property
    def flat(self) -> Tensor:
        """The number of each place in its sample, counted row by row."""
        number = torch.zeros_like(self.row)
        for size, along in zip(self.shape, self.along, strict=True):
            number = number * size + along
        return number


class Boxes(NamedTuple):
    """The smallest box around each region: its first and last place along each axis ``(axes, B)``, both included.

    A region without any place has its last place before its first one.
    """

    first: Tensor
    last: Tensor

    @property
    def sides(self) -> Tensor:
        return self.last - self.first + 1


def places_of(region: Tensor) -> Places:
    """The places of regions ``(B, 1, ...)``: all that is more than 0, or True.

    Example:
        >>> places_of(torch.tensor([[[0.0, 0.5, 1.0]]])).flat.tolist()
        [1, 2]
    """
    row, *along = region[:, 0].nonzero(as_tuple=True)
    return Places(row, tuple(along), region.shape[2:])


def boxes_around(places: Places, size: int) -> Boxes:
    """The boxes of the regions of ``size`` samples.

    Example:
        >>> region = torch.zeros(1, 1, 4, 4)
        >>> region[..., 1:3, 2] = 1
        >>> boxes_around(places_of(region), 1)
        Boxes(first=tensor([[1],
                [2]]), last=tensor([[2],
                [2]]))
    """
    first, last = [], []
    for along, length in zip(places.along, places.shape, strict=True):
        first.append(torch.full((size,), length, device=along.device).scatter_reduce(0, places.row, along, "amin"))
        last.append(torch.full((size,), -1, device=along.device).scatter_reduce(0, places.row, along, "amax"))
    return Boxes(torch.stack(first), torch.stack(last))


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
    along = []
    for axis, place in enumerate(places.along):
        offset = place - into.first[axis, places.row]
        extent = into.sides[axis, places.row]
        # In whole numbers: the middle of each place of one box, on the scale of the other.
        moved = torch.div((2 * offset + 1) * out_of.sides[axis, source], 2 * extent, rounding_mode="floor")
        along.append(out_of.first[axis, source] + moved)
    return Places(source, tuple(along), places.shape)


def at(values: Tensor, places: Places) -> Tensor:
    """What tensors ``(B, C, ...)`` hold at places: ``(N, C)``."""
    return values.flatten(2)[places.row, :, places.flat]


def put(values: Tensor, places: Places, new: Tensor) -> Tensor:
    """A copy of tensors ``(B, C, ...)`` that holds something else ``(N, C)`` at places."""
    changed = values.flatten(2).clone()
    changed[places.row, :, places.flat] = new
    return changed.view_as(values)
