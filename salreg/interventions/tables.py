"""Rows of a table whose marked columns come from other rows."""

import torch
from torch import Tensor

from salreg.host import sent
from salreg.interventions.donors import DonorBank, numbered, other_donors, pool_of
from salreg.interventions.fills import laid_over
from salreg.interventions.grids import Changed, Fate
from salreg.rng import Rng


def change_rows(inputs: Tensor, spurious: Tensor, fate: Fate, bank: DonorBank, rng: Rng) -> Changed:
    """Give each marked row the marked columns of another marked row, all of them from the same one.

    Every row has every column, so there is no presence to draw.

    Args:
        inputs: ``(B, F)``.
        spurious: Marks in [0, 1], ``(B, F)``.
        fate: Which rows are marked.
        bank: Rows in addition to those of the batch, if few of these are marked; it stores some of them.
        rng: The random number generator.
    """
    pool = pool_of(inputs, spurious, fate.marked, bank)
    if pool.size < 2:  # one alone has the mean of the others' columns instead
        other = (inputs.sum(0) - inputs) / max(len(inputs) - 1, 1) if len(inputs) > 1 else inputs
    else:
        donors = pool.pick(other_donors(numbered(fate.marked), pool.size, rng))
        other = donors.inputs[sent(donors.number, inputs.device)]
    done = fate.marked & fate.present & (pool.size > 1)
    return Changed(torch.where(fate.over(inputs).marked, laid_over(inputs, other, spurious), inputs), spurious, done)
