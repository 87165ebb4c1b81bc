"""The tensors that go with the tokens of a batch."""

import torch

from salreg.annotations import NO_PLACE
from salreg.interventions.beside import beside_tokens, padding_of

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
