"""Transplants another sample's region."""

import torch
from torch import Tensor

from salreg.interventions.boxes import Boxes, boxes_around, stretched
from salreg.interventions.fills import diffused, laid_over


def transplanted(inputs: Tensor, region: Tensor, donors: Tensor, donor_region: Tensor, donor: Tensor) -> Tensor:
    """Samples whose region shows what a donor's region shows.

    The box around the donor's region is stretched over the box around the sample's region, by nearest neighbour; if both have
    the same size, this only moves it. Where the donor's box is not part of its region, the region is continued smoothly, so
    that nothing else of the donor is copied.

    Args:
        inputs: ``(B, C, ...)`` with one to three spatial dimensions.
        region: ``(B, 1, ...)``, in [0, 1]; soft values mix old and new.
        donors: ``(D, C, ...)``.
        donor_region: ``(D, 1, ...)``, with a value above 0 for each donor.
        donor: The number of each sample's donor ``(B,)``.

    Returns:
        A tensor like the inputs.

    Example:
        >>> x, region = torch.zeros(1, 1, 4), torch.tensor([[[1.0, 1, 0, 0]]])
        >>> donors, donor_region = torch.tensor([[[0.0, 0, 5, 7]]]), torch.tensor([[[0.0, 0, 1, 1]]])
        >>> transplanted(x, region, donors, donor_region, torch.tensor([0])).tolist()
        [[[5.0, 7.0, 0.0, 0.0]]]
    """
    boxes = boxes_around(region)
    donor_boxes = boxes if donor_region is region else boxes_around(donor_region)
    there = Boxes(donor_boxes.first[:, donor], donor_boxes.last[:, donor])
    content = _completed(donors, donor_region, donor_boxes)[donor]
    return laid_over(inputs, stretched(boxes, there, inputs.shape[2:]).shown(content), region)


def _completed(donors: Tensor, region: Tensor, boxes: Boxes) -> Tensor:
    """Donors whose whole box around the region shows the region."""
    inside = region.ceil().flatten(1).sum(1, dtype=torch.float64)
    holed = (inside < boxes.sides.clamp(min=0).prod(0)).nonzero().flatten()
    if not len(holed):
        return donors
    outside = region[holed] <= 0
    return donors.index_copy(0, holed, torch.where(outside, diffused(donors[holed], outside), donors[holed]))
