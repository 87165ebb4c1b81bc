"""Images, series and volumes whose marked region shows something else."""

from typing import NamedTuple

import torch
from torch import Tensor

from salreg.host import sent
from salreg.interventions.content import transplanted
from salreg.interventions.donors import ENOUGH, DonorBank, other_donors
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


class _Pool(NamedTuple):
    """Samples and their regions, and the numbers of the donors among them, known to the host: those of the batch first."""

    inputs: Tensor
    regions: Tensor
    donors: Tensor


def change_grids(
    inputs: Tensor, spurious: Tensor, relevant: Tensor, fate: Fate, fill: Fill, bank: DonorBank, rng: Rng, by_step: bool
) -> Changed:
    """Exchange the content of regions, remove it, and insert it.

    If a sample has no region and gets none, the donor's place is still filled from its surroundings; otherwise the traces of
    filling would reveal which samples had a region.

    Args:
        inputs: ``(B, C, ...)`` of one to three dimensions of space.
        spurious: Marks in [0, 1], ``(B, 1, ...)``.
        relevant: Likewise; nothing is put there.
        fate: What becomes of each sample.
        fill: How a region is filled when its feature is removed.
        bank: Donors in addition to those of the batch, if these are few; it stores some of them.
        rng: The random number generator.
        by_step: Whether whole steps of series ``(B, 1, T, F)`` are marked, so that each feature is filled from its own values.
    """
    pool = _pool(inputs, spurious, fate.marked, bank)
    if not len(pool.donors):
        return Changed(inputs, spurious, fate.looked_at & ~fate.present)
    own = (fate.marked.cumsum(0) - 1).where(fate.marked, -1)
    donor = pool.donors[other_donors(own, len(pool.donors), rng)]
    shown = fate.present & ~fate.marked if len(pool.donors) == 1 else fate.present  # the only donor has nothing to exchange
    donor, gone = (sent(one, inputs.device) for one in (donor, (fate.looked_at & ~shown).nonzero().flatten()))
    region = _regions(spurious, relevant, pool, donor, fate)
    changed = transplanted(inputs, region, pool.inputs, pool.regions, donor)
    done = fate.looked_at & (shown | ~fate.present)
    if not len(gone):
        return Changed(changed, region, done)
    fill_in = filled_by_feature if by_step else filled
    changed = changed.index_copy(0, gone, fill_in(inputs[gone], region[gone], fill))
    of_sample = fate.over(region)
    return Changed(changed, torch.where(of_sample.looked_at, region * of_sample.present, spurious), done)


def _regions(spurious: Tensor, relevant: Tensor, pool: _Pool, donor: Tensor, fate: Fate) -> Tensor:
    """Where something happens: in the own region, or where the donor has its region."""
    if bool(fate.marked.all()):
        return spurious
    of_sample = fate.over(spurious)
    other = pool.regions[donor] * (1 - relevant) * of_sample.looked_at
    return torch.where(of_sample.marked, spurious, other)


def _pool(inputs: Tensor, spurious: Tensor, marked: Tensor, bank: DonorBank) -> _Pool:
    owners = marked.nonzero().flatten()
    enough = len(owners) >= ENOUGH
    if enough and len(bank):
        return _Pool(inputs, spurious, owners)
    there = sent(owners[:ENOUGH], inputs.device)
    own = list(zip(inputs[there], spurious[there], strict=True))
    others = bank.beside(own, [one * (region > 0) for one, region in own])
    if enough:  # a batch without any may follow, which the bank now has donors for
        return _Pool(inputs, spurious, owners)
    shapes = inputs.shape[1:], spurious.shape[1:]
    fitting = [donor for donor in others if tuple(one.shape for one in donor) == shapes]
    donors = [*own, *((one.to(inputs), region.to(spurious)) for one, region in fitting)]
    if not donors:
        return _Pool(inputs, spurious, owners)
    samples, regions = (torch.stack(one) for one in zip(*donors, strict=True))
    return _Pool(samples, regions, torch.arange(len(donors)))
