"""Copy-paste augmentation: puts marked regions, and pieces without a mark, onto other images (Ghiasi et al. 2021)."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from salreg.interventions.boxes import boxes_around as box_edges

UNKNOWN = -1.0


class Boxes(NamedTuple):
    """The boxes around masks, in pixels: centres and sizes ``(N, 2)`` as (row, column)."""

    centre: Tensor
    size: Tensor


def boxes_around(masks: Tensor) -> Boxes:
    """The boxes around masks ``(N, 1, H, W)`` that are not empty."""
    boxes = box_edges(masks)
    return Boxes((boxes.first + boxes.last).T / 2, boxes.sides.T.float())


class CopyPaste:
    """The marked images and their masks, from which regions are pasted.

    A region keeps its look and moves to the place of another marked region, give or take the distance between marked regions;
    half of the time it also takes that region's size. So a feature that always lies in a corner stays there, and one that lies
    anywhere is pasted anywhere.

    Args:
        images: Marked images ``(N, C, H, W)``.
        masks: Their masks ``(N, 1, H, W)`` in [0, 1].
    """

    def __init__(self, images: Tensor, masks: Tensor) -> None:
        self.images, self.masks = images, masks
        self.boxes = boxes_around(masks.cpu())
        self.apart = _distance_to_neighbours(self.boxes.centre)

    def pasted(self, backgrounds: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Put a region onto each background.

        Args:
            backgrounds: ``(B, C, H, W)``.
            targets: Their masks ``(B, 1, H, W)``, ``UNKNOWN`` where nobody marked.
        """
        count, total = len(backgrounds), len(self.images)
        donor, other = torch.randint(total, (2, count))
        shift = self.apart[other].view(-1, 1) * (2 * torch.rand(count, 2) - 1)
        resized = (torch.rand(count, 1) < 0.5) & (total > 1)
        scale = torch.where(resized, self.boxes.size[other] / self.boxes.size[donor], 1.0)
        centre = (self.boxes.centre[other] + shift).round() + self.boxes.centre[donor] % 1
        centre = torch.where(resized, self.boxes.centre[other] + shift.round(), centre)
        image, mask = (_moved(x[donor], self.boxes.centre[donor], centre, scale) for x in (self.images, self.masks))
        return torch.lerp(backgrounds, image, mask), torch.where(mask > 0, torch.maximum(mask, targets), targets)

    def pasted_clean(self, backgrounds: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Put an unmarked piece of a marked image, in the shape of some region, onto each background, so that traces of pasting
        do not give regions away."""
        count, total = len(backgrounds), len(self.images)
        donor, shape = torch.randint(total, (2, count))
        height, width = backgrounds.shape[-2:]
        centre = torch.rand(count, 2) * torch.tensor([height, width])
        piece = _moved(self.masks[shape], self.boxes.centre[shape], centre.round(), torch.ones(count, 2))
        piece = (piece > 0) & (self.masks[donor] == 0)
        return torch.where(piece, self.images[donor], backgrounds), torch.where(piece, 0.0, targets)


def _moved(x: Tensor, start: Tensor, end: Tensor, scale: Tensor) -> Tensor:
    """Images scaled and moved so that their point ``start`` lies at ``end``; content from outside the image is 0."""
    size = torch.tensor(x.shape[-2:])
    rows, columns = (torch.arange(length).float() for length in x.shape[-2:])
    row = (rows - end[:, :1]) / scale[:, :1] + start[:, :1]
    column = (columns - end[:, 1:]) / scale[:, 1:] + start[:, 1:]
    grid = torch.stack(
        [
            ((2 * column + 1) / size[1] - 1)[:, None, :].expand(-1, len(rows), -1),
            ((2 * row + 1) / size[0] - 1)[:, :, None].expand(-1, -1, len(columns)),
        ],
        -1,
    )
    return grid_sample(x, grid.to(x), mode="nearest", align_corners=False)


def _distance_to_neighbours(centres: Tensor) -> Tensor:
    """The distance from each centre to its k-th neighbour; k is the square root of their number."""
    distances = torch.cdist(centres, centres)
    return distances.sort(1).values[:, round(len(centres) ** 0.5) - 1] if len(centres) > 1 else torch.zeros(len(centres))
