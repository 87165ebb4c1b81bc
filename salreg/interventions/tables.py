"""Rows of a table whose marked columns come from other rows."""

import torch
from torch import Tensor

from salreg.host import sent
from salreg.interventions.donors import other_donors
from salreg.interventions.fills import laid_over
from salreg.interventions.grids import Changed, Fate
from salreg.rng import Rng


def change_rows(inputs: Tensor, spurious: Tensor, fate: Fate, rng: Rng) -> Changed:
    """Give each marked row the marked columns of another marked row, all of them from the same one.

    Every row has every column, so there is no presence to draw.

    Args:
        inputs: ``(B, F)``.
        spurious: Marks in [0, 1], ``(B, F)``.
        fate: Which rows are marked.
        rng: The random number generator.
    """
    owners = fate.marked.nonzero().flatten()
    if len(owners) < 2:  # one alone has the columns' mean instead
        other = inputs.mean(0, keepdim=True).expand_as(inputs)
    else:
        own = (fate.marked.cumsum(0) - 1).where(fate.marked, -1)
        other = inputs[sent(owners[other_donors(own, len(owners), rng)], inputs.device)]
    done = fate.marked & fate.present & (len(owners) > 1)
    return Changed(torch.where(fate.over(inputs).marked, laid_over(inputs, other, spurious), inputs), spurious, done)
