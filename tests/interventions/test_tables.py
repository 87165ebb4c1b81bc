"""Rows whose marked columns come from other rows."""

import torch

from salreg.interventions.donors import DonorBank
from salreg.interventions.grids import Fate
from salreg.interventions.tables import change_rows
from salreg.rng import Rng


def changed(rows, marked, bank=None):
    """Rows of three columns, of which the last is marked in some."""
    marked = torch.tensor(marked)
    spurious = torch.tensor([0.0, 0.0, 1.0]) * marked.unsqueeze(1)
    return change_rows(
        rows, spurious, Fate(marked, marked, torch.ones_like(marked)), DonorBank(4) if bank is None else bank, Rng(0)
    )


def test_two_marked_rows_exchange_the_marked_column():
    rows = torch.rand(3, 3)
    found = changed(rows, [True, False, True])
    assert torch.equal(found.inputs, torch.cat([rows[:, :2], rows[[2, 1, 0], 2:]], 1))
    assert found.done.tolist() == [True, False, True]


def test_a_single_marked_row_has_the_mean_of_the_others():
    rows = torch.rand(3, 3)
    found = changed(rows, [False, True, False])
    assert torch.equal(found.inputs[[0, 2]], rows[[0, 2]])
    assert torch.equal(found.inputs[1, :2], rows[1, :2])
    assert torch.isclose(found.inputs[1, 2], rows[[0, 2], 2].mean())
    assert not found.done.any()


def test_a_single_marked_row_takes_the_column_of_an_earlier_one():
    rows, bank = torch.rand(2, 3), DonorBank(4)
    changed(rows[:1], [True], bank)
    found = changed(rows[1:], [True], bank)
    assert torch.equal(found.inputs, torch.cat([rows[1:, :2], rows[:1, 2:]], 1))
    assert found.done.all()
