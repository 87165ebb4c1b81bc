"""Annotations of ragged texts lie where the collate function has put the texts."""

import pytest
import torch

from salreg.annotations import NO_PLACE
from salreg.data import AnnotatedDataset, Collate

PAD = NO_PLACE
TEXTS = [[5, 6, 7], [8, 9], [4, 5, 6, 7]]
MARKS = [[-1, 0, 0], [0, -1], [0, 0, -1, 0]]


def batch_of(samples, collate):
    marks = [torch.tensor(one, dtype=torch.int8) for one in MARKS]
    return Collate(collate)([AnnotatedDataset(samples, marks)[index] for index in range(len(samples))])


def padded(side, length=5):
    """What Hugging Face's collators do with ``padding_side``."""

    def collate(samples):
        rows, masks = [], []
        for sample in samples:
            ids = sample["input_ids"][:length]
            empty = [0] * (length - len(ids))
            rows.append([*empty, *ids] if side == "left" else [*ids, *empty])
            masks.append([int(token > 0) for token in rows[-1]])
        return {"input_ids": torch.tensor(rows), "attention_mask": torch.tensor(masks)}

    return collate


@pytest.mark.parametrize("as_tensors", [False, True], ids=["lists", "tensors"])
def test_texts_that_are_padded_to_the_left_keep_their_marks_on_their_own_words(as_tensors):
    samples = [{"input_ids": torch.tensor(text) if as_tensors else text} for text in TEXTS]
    batch = batch_of(samples, padded("left"))
    assert batch.annotation.tolist() == [[PAD, PAD, -1, 0, 0], [PAD, PAD, PAD, 0, -1], [PAD, 0, 0, -1, 0]]
    assert (batch.sample["input_ids"][batch.annotation == -1] == torch.tensor([5, 9, 6])).all()


def test_texts_that_are_padded_to_the_right_or_cut():
    samples = [{"input_ids": text} for text in TEXTS]
    right = batch_of(samples, padded("right"))
    assert right.annotation.tolist() == [[-1, 0, 0, PAD, PAD], [0, -1, PAD, PAD, PAD], [0, 0, -1, 0, PAD]]
    cut = batch_of(samples, padded("left", length=3))
    assert cut.annotation.tolist() == [[-1, 0, 0], [PAD, 0, -1], [0, 0, -1]]


def test_without_tokens_in_the_samples_the_attention_mask_says_where_the_words_are():
    samples = [{"text": " ".join(map(str, text))} for text in TEXTS]
    tokenised = lambda given: padded("left")([{"input_ids": [int(word) for word in one["text"].split()]} for one in given])  # noqa: E731
    assert batch_of(samples, tokenised).annotation[1].tolist() == [PAD, PAD, PAD, 0, -1]


def test_a_token_without_a_place_is_an_error():
    samples = [{"text": str(text)} for text in TEXTS]
    with_special = lambda given: padded("left", 6)([{"input_ids": [1, *text]} for text in TEXTS])  # noqa: E731
    with pytest.raises(ValueError, match=r"3 places of sample 0 of the batch are annotated, but .* turned it into 4 tokens"):
        batch_of(samples, with_special)
