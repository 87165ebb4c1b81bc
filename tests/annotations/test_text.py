import pytest
import torch

from salreg.annotations import (
    NO_PLACE,
    Lexicon,
    from_character_spans,
    from_lexicon,
    from_roles,
    from_token_mask,
    from_token_spans,
    on_subwords,
)


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
    with pytest.raises(ValueError, match="are not those of a tokenised text"):
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


def test_terms_are_found_beside_punctuation_and_in_compounds():
    words = ["Gay,", "they", "say;", "a", "Black-and-white", "film", "he'd", "seen"]
    assert from_lexicon(words, spurious=["gay", "black", "he"]).tolist() == [-1, 0, 0, 0, -1, 0, -1, 0]


def test_stems_phrases_and_patterns():
    words = ["Muslims", "met", "transgender", "people", "in", "the", "cities"]
    assert from_lexicon(words, spurious=["muslim", "city"]).tolist() == [0] * 7
    assert from_lexicon(words, spurious=["muslim", "city"], match="stem").tolist() == [-1, 0, 0, 0, 0, 0, -1]
    assert from_lexicon(words, spurious=["transgender people"]).tolist() == [0, 0, -1, -1, 0, 0, 0]
    assert from_lexicon(words, relevant=[r"\bm\w+"], match="regex").tolist() == [1, 1, 0, 0, 0, 0, 0]
    assert from_lexicon(["hello", "then"], spurious=["he"], match="stem").tolist() == [0, 0]


def test_terms_are_counted_and_those_that_are_not_found_are_said():
    lexicon = Lexicon(spurious=["gay", "muslim"])
    with pytest.warns(UserWarning, match="1 of 2 terms were not found: muslim.*match='stem'"):
        lexicon.annotate([["Gay,", "gay"], ["nothing"]])
    assert lexicon.counts == {"gay": 2, "muslim": 0}
    with pytest.raises(ValueError, match="None of the 1 terms was found"):
        Lexicon(spurious=["muslim"]).annotate([["Muslims"]])
    with pytest.raises(ValueError, match="not a regular expression"):
        Lexicon(spurious=["("], match="regex")


# [CLS] a man [SEP] no man [SEP]
PAIR = {
    "offsets": [(0, 0), (0, 1), (2, 5), (0, 0), (0, 2), (3, 6), (0, 0)],
    "words": [None, 0, 1, None, 0, 1, None],
    "texts": [None, 0, 0, None, 1, 1, None],
}


def test_of_a_pair_the_text_is_named():
    with pytest.raises(ValueError, match="pair of texts: give sequence_ids"):
        from_character_spans(PAIR["offsets"], spurious=[(3, 6)])
    hypothesis = from_character_spans(PAIR["offsets"], spurious=[(3, 6)], sequence_ids=PAIR["texts"], of=1)
    assert hypothesis.tolist() == [NO_PLACE, 0, 0, NO_PLACE, 0, -1, NO_PLACE]
    marks = torch.tensor([0, -1], dtype=torch.int8)
    with pytest.raises(ValueError, match="start anew.*two texts: give sequence_ids"):
        on_subwords(marks, PAIR["words"])
    assert torch.equal(on_subwords(marks, PAIR["words"], sequence_ids=PAIR["texts"], of=1), hypothesis)
    premise = on_subwords(marks, PAIR["words"], sequence_ids=PAIR["texts"])
    assert premise.tolist() == [NO_PLACE, 0, -1, NO_PLACE, 0, 0, NO_PLACE]


CHAT = [
    {"role": "system", "content": "Be kind"},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hi"},
]
RENDERED = "<s>system: Be kind\nuser: Hi\nassistant: Hi</s>"


def test_what_a_role_says_is_marked_in_the_text_of_a_chat_template():
    offsets = [(0, 3), (3, 11), (11, 13), (14, 18), (19, 25), (25, 27), (28, 39), (39, 41), (41, 45)]
    annotation = from_roles(CHAT, RENDERED, offsets, spurious=["system"], relevant=["user"])
    assert annotation.tolist() == [0, 0, -1, -1, 0, 1, 0, 0, 0]
    with pytest.raises(ValueError, match="no messages of the role 'tool'"):
        from_roles(CHAT, RENDERED, offsets, spurious=["tool"])
    with pytest.raises(ValueError, match="Message 1 of the user, 's', could be at character 17 or at 22"):
        from_roles([CHAT[0], {"role": "user", "content": "s"}], "system: Be kind\nuser: s", [], spurious=["user"])
    with pytest.raises(ValueError, match="Message 0 of the system is not in the text.*return_assistant_tokens_mask"):
        from_roles([{"role": "system", "content": "Be rude"}], RENDERED, offsets, spurious=["system"])


def test_a_mask_of_tokens_marks_them():
    assert from_token_mask(relevant=[0, 1], attention_mask=[1, 1]).tolist() == [0, 1]
    with pytest.raises(ValueError, match="one entry per token"):
        from_token_mask(spurious=[0, 1], attention_mask=[1, 1, 1])


def test_placeholders_of_an_image_are_never_marked():
    text = "<user><image><image>what is this</user>it is a cat</s>"
    messages = [{"role": "user", "content": "<image><image>what is this"}, {"role": "assistant", "content": "it is a cat"}]
    tokens = ["<user>", "<image>", "<image>", "what", "is", "this", "</user>", "it", "is", "a", "cat", "</s>"]
    offsets, special, end = [], [], 0
    for token in tokens:  # by hand: each token stands behind the one before
        start = text.index(token, end)
        end = start + len(token)
        offsets.append((start, end))
        special.append(token.startswith("<"))
    marked = from_roles(messages, text, offsets, spurious=["user"], special=special)
    by_token = dict(zip(range(len(tokens)), marked.tolist(), strict=True))
    assert [by_token[place] for place in (3, 4, 5)] == [-1, -1, -1]
    assert [by_token[place] for place in (7, 8, 9, 10)] == [0, 0, 0, 0]
    assert all(by_token[place] == NO_PLACE for place, token in enumerate(tokens) if token.startswith("<"))
    with pytest.raises(ValueError, match="one entry per token: 12 of them, not 3"):
        from_roles(messages, text, offsets, spurious=["user"], special=[0, 1, 0])


def test_chats_that_are_packed_behind_each_other_are_marked_one_by_one():
    chats = [
        ([{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hi"}], "[Be kind][Hi]"),
        ([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}], "[Hi][Yes]"),
    ]
    pieces = []
    for messages, text in chats:
        offsets = [(place, place + 1) for place in range(len(text))]  # a letter a token
        special = [letter in "[]" for letter in text]
        pieces.append(from_roles(messages, text, offsets, spurious=["user"], special=special))
    packed, letters = torch.cat(pieces), "".join(text for _, text in chats)
    assert [letter for letter, mark in zip(letters, packed.tolist(), strict=True) if mark < 0] == list("HiHi")
    assert [letter for letter, mark in zip(letters, packed.tolist(), strict=True) if mark == NO_PLACE] == list("[][][][]")
