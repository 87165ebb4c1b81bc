"""Images, series and volumes whose marked region shows something else."""

from typing import NamedTuple

import torch
from torch import Tensor

from salreg.host import sent
from salreg.interventions.content import transplanted
from salreg.interventions.donors import DonorBank, Pool, numbered, other_donors, pool_of
from salreg.interventions.fills import Fill, filled, filled_by_feature
from salreg.rng import Rng


class Fate(NamedTuple):
    """The state of the samples of a batch and what becomes of them: booleans ``(B,)``.

    They lie on the host, which decides by them what to do, so that it does not wait for a GPU; ``on`` sends them to one.

    Attributes:
        marked: Samples that have the spurious feature.
        looked_at: Samples for which it is known whether they have it; only these are changed.
        present: Samples that have it afterwards.
    """

    marked: Tensor
    looked_at: Tensor
    present: Tensor

    def on(self, device: torch.device) -> "Fate":
        """The same, on a device."""
        return Fate(*(sent(one, device) for one in self))

    def over(self, inputs: Tensor) -> "Fate":
        """The same, on the device of ``(B, ...)`` and shaped to broadcast over it."""
        return Fate(*(one.view(-1, *[1] * (inputs.ndim - 1)) for one in self.on(inputs.device)))


class Changed(NamedTuple):
    """The changed inputs.

    Attributes:
        inputs: The changed inputs.
        spurious: Their spurious marks in [0, 1].
        done: For which samples the decision was carried out, ``(B,)``, known to the host: a single donor has no other to
            exchange with.
    """

    inputs: Tensor
    spurious: Tensor
    done: Tensor


def change_grids(
    inputs: Tensor, spurious: Tensor, protected: Tensor, fate: Fate, fill: Fill, bank: DonorBank, rng: Rng, by_step: bool
) -> Changed:
    """Exchange the content of regions, remove it, and insert it.

    If a sample has no region and gets none, the donor's place is still filled from its surroundings; otherwise the traces of
    filling would reveal which samples had a region.

    Args:
        inputs: ``(B, C, ...)`` of one to three dimensions of space.
        spurious: Marks in [0, 1], ``(B, 1, ...)``.
        protected: Likewise; nothing is put there.
        fate: What becomes of each sample.
        fill: How a region is filled when its feature is removed.
        bank: Donors in addition to those of the batch, if these are few; it stores some of them.
        rng: The random number generator.
        by_step: Whether whole steps of series ``(B, 1, T, F)`` are marked, so that each feature is filled from its own values.
    """
    pool = pool_of(inputs, spurious, fate.marked, bank)
    if not pool.size:
        return Changed(inputs, spurious, fate.looked_at & ~fate.present)
    there, donor = _donors(fate.marked, pool.size, rng)
    shown = fate.present & ~fate.marked if pool.size == 1 else fate.present  # the only donor has nothing to exchange
    gone = (fate.looked_at & ~shown).nonzero().flatten()
    donors, region = pool.pick(donor), _regions(spurious, protected, pool, there, fate)
    number, gone = (sent(one, inputs.device) for one in (donors.number, gone))
    changed = transplanted(inputs, region, donors.inputs, donors.regions, number)
    done = fate.looked_at & (shown | ~fate.present)
    if not len(gone):
        return Changed(changed, region, done)
    fill_in = filled_by_feature if by_step else filled
    changed.index_copy_(0, gone, fill_in(inputs[gone], region[gone], fill))  # its own memory, of the same format as the input's
    of_sample = fate._replace(present=shown).over(region)
    return Changed(changed, torch.where(of_sample.looked_at, region * of_sample.present, spurious), done)


def _donors(marked: Tensor, count: int, rng: Rng) -> tuple[Tensor, Tensor]:
    """The donor whose place is filled or gets the feature, one's own if one has it, and the donor whose content is shown.

    Content that fits its place exactly would tell which samples had no feature of their own, so these two differ there, too.
    """
    there = numbered(marked)
    if not bool(marked.all()):
        there = torch.where(marked, there, other_donors(torch.full_like(there, -1), count, rng))
    return there, other_donors(there, count, rng)


def _regions(spurious: Tensor, protected: Tensor, pool: Pool, there: Tensor, fate: Fate) -> Tensor:
    """Where something happens: in the own region, or where a donor has its region."""
    if bool(fate.marked.all()):
        return spurious
    of_sample = fate.over(spurious)
    donors = pool.pick(there)
    other = donors.regions[sent(donors.number, spurious.device)] * (1 - protected) * of_sample.looked_at
    return torch.where(of_sample.marked, spurious, other)
