import pytest
import torch

from salreg.annotations import NO_PLACE, from_character_spans, from_lexicon, from_token_spans, on_subwords


def test_spans_of_tokens():
    assert from_token_spans(4, spurious=[(0, 1), (3, 4)], relevant=[(1, 2)]).tolist() == [-1, 1, 0, -1]


@pytest.mark.parametrize("span", [(2, 2), (3, 2), (-1, 2), (2, 5)])
def test_spans_outside_the_text_are_refused(span):
    with pytest.raises(ValueError, match="does not lie in a text of 4 tokens"):
        from_token_spans(4, spurious=[span])


def test_a_token_on_both_sides_is_named():
    with pytest.raises(ValueError, match="Token 1 is marked both"):
        from_token_spans(4, spurious=[(0, 2)], relevant=[(1, 3)])


TEXT = "the video was bad"
OFFSETS = [(0, 0), (0, 3), (4, 6), (6, 9), (10, 13), (14, 17), (0, 0), (0, 0)]  # [CLS] the vi ##deo was bad [SEP] [PAD]


def test_a_token_is_marked_where_it_overlaps_a_span():
    start = TEXT.index("video")
    annotation = from_character_spans(OFFSETS, spurious=[(start, start + 5)], relevant=[(15, 16)])
    assert annotation.tolist() == [NO_PLACE, 0, -1, -1, 0, 1, NO_PLACE, NO_PLACE]


def test_a_span_between_the_tokens_or_behind_them_is_refused():
    for span in ((3, 4), (17, 20), (-2, 2)):
        with pytest.raises(ValueError, match="No token covers the characters"):
            from_character_spans(OFFSETS, spurious=[span])


def test_spans_that_the_tokenizer_cut_off_are_left_out_on_request():
    annotation = from_character_spans(OFFSETS, spurious=[(4, 9), (30, 40)], truncated=True)
    assert (annotation == -1).sum() == 2


def test_offsets_of_something_else_are_refused():
    with pytest.raises(ValueError, match="are no tokenisation"):
        from_character_spans([(4, 6), (0, 3)], spurious=[(0, 3)])


def test_offsets_as_a_tokenizer_gives_them():
    tokenizers = pytest.importorskip("tokenizers")
    model = tokenizers.models.WordLevel({"the": 0, "video": 1, "was": 2, "bad": 3, "?": 4}, unk_token="?")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    encoded = tokenizer.encode(TEXT)
    assert from_character_spans(encoded.offsets, spurious=[(4, 9)]).tolist() == [0, -1, 0, 0]
    words = from_lexicon(TEXT.split(), spurious=["VIDEO"])
    assert on_subwords(words, encoded.word_ids).tolist() == [0, -1, 0, 0]


def test_a_lexicon_is_a_list_of_words():
    with pytest.raises(TypeError, match="not one string"):
        from_lexicon("he acts", spurious=["he"])
    with pytest.raises(ValueError, match="'he' is in both lists"):
        from_lexicon(["he"], spurious=["He"], relevant=["he"])


def test_subwords_of_another_text_are_refused():
    with pytest.raises(ValueError, match="belongs to word 3, but 2 words"):
        on_subwords(torch.zeros(2), [0, 1, 3])


def test_soft_marks_are_carried_over():
    assert on_subwords(torch.tensor([0.5, -0.25]), [0, 1, 1]).tolist() == [0.5, -0.25, -0.25]
