"""Deletion and insertion (Petsiuk et al. 2018) of a model whose probabilities are known."""

import pytest
import torch

from salreg.sanity import area_under, deletion_curve


def one_place_decides(x):
    """Class 1 with the probability ``sigmoid`` of the first place."""
    return torch.stack([torch.zeros(len(x)), x.flatten(1)[:, 0]], 1)


INPUTS = torch.zeros(2, 1, 4, 4)
INPUTS[:, 0, 0, 0] = torch.tensor([4.0, 2.0])
FIRST = torch.zeros(2, 4, 4).index_put((torch.tensor([0, 1]), torch.tensor([0, 0]), torch.tensor([0, 0])), torch.tensor(1.0))


def test_the_closed_form():
    """The mean over samples and places is 6/32; the decisive place goes first, or last."""
    whole, filled = torch.tensor([4.0, 2.0]).sigmoid(), torch.tensor(6 / 32).sigmoid().expand(2)
    torch.testing.assert_close(deletion_curve(one_place_decides, INPUTS, FIRST, steps=4), torch.stack([whole, *[filled] * 4]))
    torch.testing.assert_close(deletion_curve(one_place_decides, INPUTS, -FIRST, steps=4), torch.stack([*[whole] * 4, filled]))


def test_insertion_is_deletion_backwards():
    backwards = deletion_curve(one_place_decides, INPUTS, -FIRST, steps=4).flip(0)
    torch.testing.assert_close(deletion_curve(one_place_decides, INPUTS, FIRST, steps=4, insert=True), backwards)


def test_one_logit_is_the_second_class():
    single = deletion_curve(lambda x: one_place_decides(x)[:, 1:], INPUTS, FIRST)
    torch.testing.assert_close(single, deletion_curve(one_place_decides, INPUTS, FIRST))


def test_rows_of_a_table_and_their_area():
    x = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
    curve = deletion_curve(lambda x: x, x, order=x, steps=2)
    assert area_under(curve).tolist() == pytest.approx([(0.98201 / 2 + 0.88080 + 0.5 / 2) / 2] * 2, abs=1e-4)


def test_an_order_of_other_places_is_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 3\), but the inputs have places \(2, 4, 4\)"):
        deletion_curve(one_place_decides, INPUTS, torch.rand(2, 3))
