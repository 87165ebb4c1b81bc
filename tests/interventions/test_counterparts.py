"""Counterparts on token numbers, through a real tokenizer."""

import pytest
import torch

from salreg.annotations import Counterparts
from salreg.interventions import CounterpartIntervention

transformers = pytest.importorskip("transformers")
PEOPLE = Counterparts({"gender": {"female": ["she", "mother"], "male": ["he", "father"]}})


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A WordPiece tokenizer in which "father" is two tokens."""
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "she",
        "he",
        "mother",
        "moth",
        "##er",
        "fa",
        "##ther",
        "ran",
        "and",
        ".",
    ]
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("\n".join(words))
    return transformers.BertTokenizer(str(path))


@pytest.mark.parametrize("side", ["left", "right"])
def test_special_tokens_and_padding_stay_where_they_were(tokenizer, side):
    tokenizer.padding_side = side
    given = tokenizer(["She and mother ran.", "ran and ran"], padding=True, return_tensors="pt")["input_ids"]
    expected = tokenizer(["He and father ran.", "ran and ran"], padding=True, return_tensors="pt")
    found = CounterpartIntervention(PEOPLE, tokenizer)(given, "gender", "female", "male")
    assert torch.equal(found.tokens, expected["input_ids"])
    assert torch.equal(found.mask, expected["attention_mask"])
    assert found.changed.tolist() == [True, False]


def test_both_texts_of_a_pair_are_exchanged(tokenizer):
    tokenizer.padding_side = "right"
    given = tokenizer("she ran", "mother ran", return_tensors="pt")["input_ids"]
    expected = tokenizer("he ran", "father ran", return_tensors="pt")["input_ids"]
    assert torch.equal(CounterpartIntervention(PEOPLE, tokenizer)(given, "gender", "female", "male").tokens, expected)


def test_terms_are_taken_out_and_the_batch_stays_as_long_as_it_was(tokenizer):
    given = tokenizer(["she ran", "he ran"], return_tensors="pt", padding=True)["input_ids"]
    found = CounterpartIntervention(PEOPLE, tokenizer).without(given, "gender", "female")
    assert found.tokens[0].tolist() == [*tokenizer("ran")["input_ids"], 0]
    assert torch.equal(found.tokens[1], given[1])


def test_an_unknown_word_stays(tokenizer):
    given = tokenizer("she snored", return_tensors="pt")["input_ids"]
    assert tokenizer.unk_token_id in given
    found = CounterpartIntervention(PEOPLE, tokenizer)(given, "gender", "female", "male")
    assert torch.equal(found.tokens, tokenizer("he snored", return_tensors="pt")["input_ids"])


def test_tokens_that_do_not_come_back_from_their_text_are_refused(tokenizer):
    cut_otherwise = torch.tensor([[2, *tokenizer.convert_tokens_to_ids(["she", "moth", "##er"]), 3]])
    with pytest.raises(ValueError, match="change when they are decoded"):
        CounterpartIntervention(PEOPLE, tokenizer)(cut_otherwise, "gender", "female", "male")


def test_a_tokenizer_that_names_no_special_tokens_is_asked_for_them():
    with pytest.raises(ValueError, match="special="):
        CounterpartIntervention(PEOPLE, object())


@pytest.mark.parametrize("padding", [0, 9])
def test_the_number_of_padding_may_be_any(padding):
    class Words:
        words = ("[PAD]", "he", "she", "ran")

        def encode(self, text):
            return [self.words.index(word) for word in text.split()]

        def decode(self, tokens):
            return " ".join(self.words[token] for token in tokens)

    exchange = CounterpartIntervention(PEOPLE, Words(), special=[], padding=padding)
    given = torch.tensor([[2, 3, padding], [3, padding, padding]])
    assert exchange(given, "gender", "female", "male").tokens.tolist() == [[1, 3, padding], [3, padding, padding]]
