"""Lengths of texts are told from other numbers, and follow the texts."""

from copy import deepcopy

import pytest
import torch

from salreg.annotations import NO_PLACE
from salreg.interventions import Intervention
from salreg.interventions.lengths import Lengths

PAD = NO_PLACE
TOKENS = torch.tensor([[5, 91, 6, 7, 0, 0], [5, 6, 92, 93, 7, 6], [4, 4, 4, 94, 5, 0]])
MARKS = torch.tensor([[0, -1, 0, 0, PAD, PAD], [0, 0, -1, -1, 0, 0], [0, 0, 0, -1, 0, PAD]])
LENGTHS, AFTER = torch.tensor([4, 6, 5]), torch.tensor([3, 4, 4])
EVERYBODY = torch.ones(3, dtype=torch.bool)


def test_lengths_follow_texts_that_become_shorter():
    labels = torch.tensor([4, 0, 1])
    tokens, lengths, targets = Intervention(0.0)((TOKENS, LENGTHS, labels), MARKS, EVERYBODY).sample
    assert torch.equal(lengths, (tokens != 0).sum(1))
    assert torch.equal(lengths, AFTER)
    assert targets is labels


def test_lengths_tell_the_padding_where_nothing_else_does():
    marks = MARKS.masked_fill(MARKS == PAD, 0)
    changed = Intervention(1.0)({"words": TOKENS, "n": LENGTHS.int()}, marks, EVERYBODY)
    assert torch.equal(changed.sample["n"], (changed.sample["words"] != 0).sum(1).int())
    assert torch.equal(changed.annotation == PAD, changed.sample["words"] == 0)


def test_a_class_that_is_once_as_large_as_a_text_is_long_is_no_length():
    lengths, padding = Lengths(), TOKENS == 0
    numbers = {"length": LENGTHS, "label": torch.tensor([4, 6, 0])}
    assert [id(one) for one in lengths.among(numbers, TOKENS, padding)] == [id(LENGTHS)]
    again = Lengths()
    again.load_state_dict(deepcopy(lengths.state_dict()))
    for one in (lengths, again):
        both = {"length": LENGTHS[:1], "label": torch.tensor([4])}
        assert [id(each) for each in one.among(both, TOKENS[:1], padding[:1])] == [id(both["length"])]


def test_what_is_named_as_fixed_or_is_no_whole_number_stays():
    batch = {"input_ids": TOKENS, "lengths": LENGTHS, "rate": LENGTHS.float()}
    assert Intervention(0.0, fixed=["lengths"])(batch, MARKS, EVERYBODY).sample["lengths"] is LENGTHS
    assert Intervention(0.0)(batch, MARKS, EVERYBODY).sample["rate"] is batch["rate"]


def test_lengths_in_a_list_are_refused():
    with pytest.raises(ValueError, match="lengths of its texts as a list.*Return them as a tensor"):
        Intervention(0.0)((TOKENS, LENGTHS.tolist()), MARKS, EVERYBODY)
