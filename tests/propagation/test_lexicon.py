"""Marked words become a lexicon."""

import pytest
import torch

from salreg.annotations import NO_PLACE
from salreg.propagation import Entry, PropagationError, lexicon_of, marked_by, propagate_words

TEXTS = ["this video is fine", "a video of a dog", "no video here", "a fine dog"]
WORDS = [text.split() for text in TEXTS]
MARKS = [torch.tensor([0, -1, 0, 0]), torch.tensor([-1, -1, 0, 0, 0]), None, None]


def test_entries_count_marked_unmarked_and_unseen_places():
    assert lexicon_of(WORDS, MARKS) == [Entry("video", 2, 0, 1), Entry("a", 1, 1, 1)]
    assert [entry.precision for entry in lexicon_of(WORDS, MARKS)] == [1.0, 0.5]


def test_words_that_are_mostly_marked_are_carried_over_and_a_persons_own_marks_stay():
    found, entries = propagate_words(WORDS, MARKS)
    assert [one.tolist() for one in found[2:]] == [[0, -1, 0], [0, 0, 0]]
    assert found[0] is MARKS[0]
    assert len(entries) == 2
    lower, _ = propagate_words(WORDS, MARKS, precision=0.5)
    assert lower[3].tolist() == [-1, 0, 0]


def test_token_numbers_work_like_words_and_padding_does_not_count():
    tokens = [torch.tensor([5, 7, 0]), torch.tensor([7, 9, 0])]
    found, entries = propagate_words(tokens, [torch.tensor([0, -1, NO_PLACE]), None])
    assert entries == [Entry(7, 1, 0, 1)]
    assert found[1].tolist() == [-1, 0, 0]
    assert found[1].dtype == torch.int8


def test_confirmed_words_alone_are_marked():
    assert marked_by(WORDS, MARKS, ["dog"])[3].tolist() == [0, 0, -1]


def test_nothing_to_carry_over_and_what_does_not_fit_are_refused():
    with pytest.raises(PropagationError, match="No word is marked"):
        propagate_words(WORDS, [torch.zeros(4), None, None, None])
    often = [["a"] * 3, ["a"]]
    with pytest.raises(PropagationError, match="'a' comes nearest, marked in 1 of 3"):
        propagate_words(often, [torch.tensor([-1, 0, 0]), None])
    with pytest.raises(ValueError, match="4 texts, but 1 annotations"):
        lexicon_of(WORDS, [None])
    with pytest.raises(ValueError, match=r"Text 0 has 4 words, but its annotation has shape \(3,\)"):
        lexicon_of(WORDS, [torch.zeros(3), None, None, None])
    with pytest.raises(ValueError, match="Text 0 is one string"):
        lexicon_of(TEXTS, MARKS)


@pytest.mark.parametrize(("values", "message"), [([0, torch.nan], "contains NaN"), ([0, -5], "from -5 to 0")])
def test_annotations_with_other_values_are_named(values, message):
    with pytest.raises(ValueError, match=f"The annotation of text 1 .*{message}"):
        propagate_words([["a"], ["a", "video"]], [None, torch.tensor(values)])


def test_annotations_may_be_lists():
    found, _ = propagate_words([["a", "video"], ["video"]], [[0, -1], None])
    assert [one.tolist() for one in found] == [[0, -1], [-1]]
