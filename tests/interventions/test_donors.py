"""Donors of a batch and of earlier ones, of which a step takes no more than it shows."""

import torch

from salreg.interventions.donors import DonorBank, numbered, other_donors, pool_of
from salreg.rng import Rng


def images(size, seed):
    made = torch.rand(size, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    return made, (made > 0.5).float()


def test_of_a_full_bank_only_the_donors_that_are_shown_are_taken():
    bank = DonorBank(8)
    earlier, regions = images(8, 0)
    pool_of(earlier, regions, torch.ones(8, dtype=torch.bool), bank)
    batch, marks = images(3, 1)
    pool = pool_of(batch, marks, torch.tensor([False, True, True]), bank)
    assert pool.size == 10
    picked = pool.pick(torch.tensor([1, 9, 1, 3]))
    assert len(picked.inputs) == len(picked.regions) == 3
    assert torch.equal(picked.inputs[picked.number], torch.stack([batch[2], earlier[7], batch[2], earlier[1]]))
    assert torch.equal(picked.regions[picked.number], torch.stack([marks[2], regions[7], marks[2], regions[1]]))


def test_without_others_the_batch_itself_is_taken():
    batch, marks = images(3, 1)
    picked = pool_of(batch, marks, torch.tensor([False, True, True]), DonorBank(8)).pick(torch.tensor([1, 0, 1]))
    assert picked.inputs is batch
    assert picked.regions is marks
    assert picked.number.tolist() == [2, 1, 2]


def test_all_donors_but_ones_own_are_as_likely():
    own = numbered(torch.tensor([True, False, True]))
    assert own.tolist() == [0, -1, 1]
    drawn = torch.stack([other_donors(own, 4, Rng(seed)) for seed in range(400)])
    for receiver, expected in enumerate(({1, 2, 3}, {0, 1, 2, 3}, {0, 2, 3})):
        numbers, counts = drawn[:, receiver].unique(return_counts=True)
        assert set(numbers.tolist()) == expected
        assert (counts / 400 - 1 / len(expected)).abs().max() < 0.1
    # of a receiver whose own are two in a row
    assert all(int(other_donors(torch.tensor([1]), 4, Rng(seed), torch.tensor([2]))) in (0, 3) for seed in range(20))
