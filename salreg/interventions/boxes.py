"""The boxes around regions, and coordinates carried from one box to another."""

from typing import NamedTuple

import torch
from torch import Tensor


class Boxes(NamedTuple):
    """The smallest box around each sample's region: its first and last place ``(B, axes)``, both included.

    A region without any place has its first place behind its last one.
    """

    first: Tensor
    last: Tensor

    @property
    def size(self) -> Tensor:
        return self.last - self.first + 1

    def __getitem__(self, rows: object) -> "Boxes":  # type: ignore[override]
        return Boxes(self.first[rows], self.last[rows])  # type: ignore[index]


def boxes_around(region: Tensor) -> Boxes:
    """The boxes of regions ``(B, 1, ...)``: all that is more than 0 belongs to them.

    Example:
        >>> region = torch.zeros(1, 1, 4, 4)
        >>> region[..., 1:3, 2] = 1
        >>> boxes_around(region)
        Boxes(first=tensor([[1, 2]]), last=tensor([[2, 2]]))
    """
    inside = region[:, 0] > 0
    axes = range(1, inside.ndim)
    first, last = [], []
    for axis in axes:
        others = [other for other in axes if other != axis]
        along = (inside.any(others) if others else inside).to(torch.uint8)
        first.append(along.argmax(1))
        last.append(along.shape[1] - 1 - along.flip(1).argmax(1))
    edges = Boxes(torch.stack(first, 1), torch.stack(last, 1))
    empty = ~inside.flatten(1).any(1)
    return edges._replace(first=edges.first + empty.unsqueeze(1) * inside[0].numel())


def stretched(into: Boxes, out_of: Boxes, shape: torch.Size) -> Tensor:
    """For every place of a grid the place that it comes from when one box is stretched over another.

    Args:
        into: The boxes that are filled.
        out_of: The boxes whose content is taken, one each.
        shape: Of the grid, without samples and channels.

    Returns:
        Flat places ``(B, P)`` by the nearest neighbour; outside of ``into`` those of the box's edge.
    """
    sources = []
    for axis, size in enumerate(shape):
        place = torch.arange(size, device=into.first.device)
        first, extent = into.first[:, axis, None], into.size[:, axis, None].clamp(min=1)
        start, end, length = (edge[:, axis, None] for edge in (out_of.first, out_of.last, out_of.size))
        # In whole numbers: the middle of each place of one box, on the scale of the other.
        source = start + torch.div((2 * (place - first) + 1) * length, 2 * extent, rounding_mode="floor")
        sources.append(torch.minimum(torch.maximum(source, start), end).clamp(0, size - 1))
    return flat_places(sources, shape)


def flat_places(along: list[Tensor], shape: torch.Size) -> Tensor:
    """Flat places ``(B, P)`` of a grid from the places ``(B, S)`` along each axis."""
    flat = along[0].new_zeros(len(along[0]), *[1] * len(shape))
    for axis, (places, size) in enumerate(zip(along, shape, strict=True)):
        view = [len(places), *[1] * len(shape)]
        view[axis + 1] = size
        flat = flat * size + places.view(view)
    return flat.flatten(1)


def taken(values: Tensor, places: Tensor) -> Tensor:
    """The values ``(B, C, ...)`` at flat places ``(B, P)`` of each sample, laid out like the values."""
    flat = values.flatten(2)
    return flat.gather(2, places.unsqueeze(1).expand(-1, flat.shape[1], -1)).view_as(values)
