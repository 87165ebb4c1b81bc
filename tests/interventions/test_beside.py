"""The tensors that go with the tokens of a batch."""

import pytest
import torch

from salreg.annotations import NO_PLACE
from salreg.interventions import Intervention
from salreg.interventions.beside import beside_tokens, padding_of, said_to_move

TOKENS, OTHER = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[9, 8, 7, 6]])
MASK, OTHER_MASK = torch.tensor([[1, 1, 1, 0]]), torch.tensor([[1, 1, 0, 0]])


def test_of_a_pair_of_texts_each_moves_with_its_own_mask():
    batch = {
        "chosen_input_ids": TOKENS,
        "chosen_attention_mask": MASK,
        "rejected_input_ids": OTHER,
        "rejected_attention_mask": OTHER_MASK,
    }
    assert [id(one) for one in beside_tokens(batch, TOKENS).masks] == [id(MASK)]
    assert [id(one) for one in beside_tokens(batch, OTHER).masks] == [id(OTHER_MASK)]


def test_token_numbers_of_another_text_are_told_by_their_values():
    batch = {"question": TOKENS, "question_mask": MASK, "answer": OTHER, "answer_mask": OTHER_MASK}
    assert [id(one) for one in beside_tokens(batch, TOKENS).masks] == [id(MASK)]


def test_a_mask_without_a_zero_says_that_nothing_is_padding():
    annotation = torch.tensor([[0, -1, 0, NO_PLACE]])
    mask = torch.ones(1, 4, dtype=torch.long)
    assert not padding_of((TOKENS, mask), annotation, [mask]).any()
    assert padding_of((TOKENS,), annotation, []).tolist() == [[False, False, False, True]]
    hides = torch.zeros(1, 4, dtype=torch.bool)
    assert not padding_of((TOKENS, hides), annotation, [hides]).any()


@pytest.mark.parametrize("left", [False, True])
def test_where_nothing_else_says_it_unmarked_padding_tokens_do(left):
    tokens = torch.tensor([[5, 0, 6, 7, 0, 0], [5, 6, 7, 5, 0, 0], [5, 6, 7, 8, 9, 4]])
    padded = torch.tensor([[False] * 4 + [True] * 2] * 2 + [[False] * 6])
    if left:
        tokens, padded = tokens.flip(1), padded.flip(1)
    assert torch.equal(padding_of((tokens,), torch.zeros_like(tokens), [], tokens, 0), padded)
    assert not padding_of((tokens,), torch.zeros_like(tokens), [], tokens).any()  # which token pads is not known


@pytest.mark.parametrize(
    ("key", "tensor"),
    [
        ("bbox", torch.zeros(1, 4, 4, dtype=torch.long)),
        ("attention_mask", torch.ones(1, 1, 1, 4)),
        ("attention_mask", torch.zeros(1, 2, 4, 4).fill_(-torch.inf)),
        ("attention_mask", torch.ones(1, 4, 4, dtype=torch.bool)),
    ],
)
def test_what_holds_more_than_a_number_for_each_token_is_refused_by_its_name(key, tensor):
    batch = {"input_ids": TOKENS, "pixels": torch.rand(1, 3, 4, 4), key: tensor}
    with pytest.raises(ValueError, match=rf"batch\['{key}'\] of shape \(1, .*would not move with them.*fixed="):
        beside_tokens(batch, TOKENS)
    assert beside_tokens(batch, TOKENS, fixed=[key]).masks == []


def test_what_hides_padding_hides_that_of_a_text_that_becomes_shorter():
    hidden = torch.zeros(1, 4, dtype=torch.bool)
    batch = {"tokens": TOKENS, "padding_mask": hidden}
    changed = Intervention(0.0)(batch, torch.tensor([[0, -1, 0, 0]]), torch.tensor([True])).sample
    assert changed["tokens"][0, :3].tolist() == [5, 7, 8]
    assert changed["padding_mask"].tolist() == [[False, False, False, True]]


def test_what_moves_and_what_may_have_to_is_said():
    marks = torch.tensor([[0, -1, 0, NO_PLACE]])
    batch = {
        "input_ids": TOKENS,
        "attention_mask": MASK,
        "labels": OTHER,
        "size": torch.tensor([3]),
        "e1_start": torch.tensor([1]),
    }
    assert said_to_move(batch, TOKENS, marks) == (
        "batch['labels'] and batch['size'] move with the tokens; batch['e1_start'] stays, although the name may be that of a "
        "token's place"
    )
    assert said_to_move(batch, TOKENS, marks, ["labels", "size", "e1_start"]) == ""
    assert said_to_move((TOKENS, MASK), TOKENS, marks).startswith("batch[1] is taken for a mask, of which")
