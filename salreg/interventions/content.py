"""Another sample's region in one's own place."""

import torch
from torch import Tensor

from salreg.interventions.boxes import boxes_around, stretched, taken
from salreg.interventions.fills import diffused


def transplanted(inputs: Tensor, region: Tensor, donors: Tensor, donor_region: Tensor) -> Tensor:
    """What each sample's region shows when it holds the content of a donor's region.

    The box around the donor's region is stretched over the box around one's own, by the nearest neighbour; between boxes of one
    size that only moves it. Where the donor's box holds what is not its region, the region is continued smoothly, so that
    nothing else of the donor comes along.

    Args:
        inputs: ``(B, C, ...)`` of one to three dimensions of space.
        region: ``(B, 1, ...)``, in [0, 1].
        donors: One for each sample, laid out like the inputs.
        donor_region: ``(B, 1, ...)``, somewhere more than 0.

    Returns:
        A tensor like the inputs, to be laid over them in the region; outside of it, it has no meaning.

    Example:
        >>> x, region = torch.zeros(1, 1, 4), torch.tensor([[[1.0, 1, 0, 0]]])
        >>> donor, donor_region = torch.tensor([[[0.0, 0, 5, 7]]]), torch.tensor([[[0.0, 0, 1, 1]]])
        >>> transplanted(x, region, donor, donor_region)[..., :2].tolist()
        [[[5.0, 7.0]]]
    """
    places = stretched(boxes_around(region), boxes_around(donor_region), inputs.shape[2:])
    if bool((taken(donor_region, places) > 0).where(region > 0, torch.ones((), dtype=torch.bool, device=region.device)).all()):
        return taken(donors, places)
    return taken(torch.where(donor_region > 0, donors, diffused(donors, 1 - (donor_region > 0).to(donors))), places)
