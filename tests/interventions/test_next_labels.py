"""Labels that name the next token still do after words were exchanged, taken out or put in."""

import pytest
import torch

from salreg.interventions import Intervention
from salreg.interventions.next_labels import are_of_next

TOKENS = torch.tensor([[5, 91, 6, 7, 0, 0], [5, 6, 92, 93, 7, 6], [4, 4, 4, 94, 5, 0], [5, 6, 7, 8, 9, 4]])
MARKS = torch.tensor([[0, -1, 0, 0, 0, 0], [0, 0, -1, -1, 0, 0], [0, 0, 0, -1, 0, 0], [0] * 6])


@pytest.mark.parametrize("presence", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("ignores", [True, False])
def test_labels_name_the_next_token_of_what_a_text_became(presence, ignores):
    labels = torch.cat([TOKENS[:, 1:], torch.tensor([[0], [3], [0], [2]])], 1)
    labels = labels.masked_fill(labels == 0, -100) if ignores else labels
    batch = {"input_ids": TOKENS, "labels": labels, "attention_mask": (TOKENS != 0).long()}
    changed = Intervention(presence)(batch, MARKS, torch.ones(4, dtype=torch.bool)).sample
    expected = changed["input_ids"][:, 1:]
    expected = expected.masked_fill(expected == 0, -100) if ignores else expected
    assert not torch.equal(changed["input_ids"], TOKENS)
    found = changed["labels"]
    known = found[:, :-1] != -100  # what stood first in its text had no label, and has none elsewhere
    assert torch.equal(found[:, :-1][known], expected[known])
    assert ((expected == -100) | known).float().mean() > 0.9
    last = torch.where(changed["input_ids"][:, -1] == TOKENS[:, -1], labels[:, -1], -100)
    assert torch.equal(found[:, -1], last)


def test_labels_of_the_tokens_themselves_are_none_of_these():
    assert not are_of_next(TOKENS, TOKENS)
    assert not are_of_next(torch.full_like(TOKENS, 4), torch.full_like(TOKENS, 4))
    assert not are_of_next(torch.full_like(TOKENS, -100), TOKENS)
