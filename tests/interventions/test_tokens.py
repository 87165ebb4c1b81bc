"""Spans are exchanged, taken out and put in; masks and marks follow."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from salreg.annotations import NO_PLACE
from salreg.interventions import Intervention
from salreg.interventions.beside import keys_of_decoder, padding_token_of

PAD = NO_PLACE
TOKENS = torch.tensor([[5, 91, 6, 7, 0, 0], [5, 6, 92, 93, 7, 6], [5, 6, 7, 5, 0, 0], [4, 4, 4, 94, 5, 0]])
MARKS = torch.tensor(
    [[0, -1, 0, 0, PAD, PAD], [0, 0, -1, -1, 0, 0], [0, 0, 0, 0, PAD, PAD], [0, 0, 0, -1, 0, PAD]], dtype=torch.int8
)
LOOKED_AT = torch.ones(4, dtype=torch.bool)
SPANS = {(91,), (92, 93), (94,)}


def words(tokens, marks, marked):
    return tuple(
        token for token, mark in zip(tokens.tolist(), marks.tolist(), strict=True) if (mark < 0) == marked and mark != PAD
    )


def test_each_span_is_another_texts_and_the_rest_stays():
    for seed in range(10):
        changed = Intervention(1.0, seed=seed)((TOKENS, torch.arange(4)), MARKS)
        tokens, marks = changed.sample[0], changed.annotation
        for row in (0, 1, 3):
            before, after = words(TOKENS[row], MARKS[row], True), words(tokens[row], marks[row], True)
            assert after in SPANS - {before}
            assert words(tokens[row], marks[row], False) == words(TOKENS[row], MARKS[row], False)
        assert torch.equal(tokens[2], TOKENS[2])  # unmarked, and nobody looked
        assert torch.equal(tokens == 0, marks == PAD)


def test_a_span_may_be_taken_out_and_the_text_is_padded():
    changed = Intervention(0.0)((TOKENS, torch.arange(4)), MARKS, LOOKED_AT)
    assert changed.sample[0].tolist() == [[5, 6, 7, 0, 0, 0], [5, 6, 7, 6, 0, 0], [5, 6, 7, 5, 0, 0], [4, 4, 4, 5, 0, 0]]
    assert not (changed.annotation < 0).any()
    assert torch.equal(changed.annotation == PAD, changed.sample[0] == 0)


def test_a_span_is_put_in_where_another_text_has_one():
    places = set()
    for seed in range(40):
        changed = Intervention(1.0, seed=seed)((TOKENS, torch.arange(4)), MARKS, LOOKED_AT)
        tokens, marks = changed.sample[0][2], changed.annotation[2]
        assert words(tokens, marks, True) in SPANS
        assert words(tokens, marks, False) == (5, 6, 7, 5)
        places.add(int((marks < 0).int().argmax()))
    assert places == {1, 2, 3}  # behind a third, half and three quarters of the words


def test_without_another_text_that_has_one_it_is_put_in_anywhere():
    places, intervention = set(), Intervention(1.0)
    intervention((TOKENS, torch.arange(4)), MARKS)
    for _ in range(40):
        changed = intervention((TOKENS[2:3], torch.arange(1)), MARKS[2:3], LOOKED_AT[2:3])
        places.add(int((changed.annotation[0] < 0).int().argmax()))
    assert places == {0, 1, 2, 3, 4}


def test_where_there_is_no_room_the_last_unmarked_words_give_way():
    tokens = torch.tensor([[5, 6, 7, 8], [91, 92, 5, 6]])
    marks = torch.tensor([[0, 0, 0, 0], [-1, -1, 0, 0]], dtype=torch.int8)
    changed = Intervention(1.0, padding_token=0)((tokens, torch.arange(2)), marks, LOOKED_AT[:2])
    assert words(changed.sample[0][0], changed.annotation[0], True) == (91, 92)
    assert words(changed.sample[0][0], changed.annotation[0], False) == (5, 6)


def test_masks_and_token_types_follow_and_positions_stay():
    batch = {
        "input_ids": TOKENS,
        "attention_mask": (TOKENS != 0).long(),
        "token_type_ids": torch.tensor([0, 0, 0, 1, 1, 1]).expand(4, 6).clone(),
        "position_ids": torch.arange(6).expand(4, 6).clone(),
        "labels": torch.arange(4),
    }
    changed = Intervention(0.0)(batch, MARKS, LOOKED_AT).sample
    assert torch.equal(changed["attention_mask"], (changed["input_ids"] != 0).long())
    assert torch.equal(changed["position_ids"], batch["position_ids"])
    assert changed["token_type_ids"][1, :4].tolist() == [0, 0, 1, 1]
    assert changed["labels"] is batch["labels"]
    assert batch["input_ids"] is TOKENS


def test_padding_to_the_left_stays_to_the_left():
    batch = {"input_ids": TOKENS.flip(1), "attention_mask": (TOKENS != 0).long().flip(1)}
    for presence in (0.0, 1.0):
        changed = Intervention(presence)(batch, MARKS.flip(1), LOOKED_AT).sample
        mask = changed["attention_mask"]
        assert (mask.diff(dim=1) >= 0).all()
        assert torch.equal(mask == 0, changed["input_ids"] == 0)


def test_special_tokens_are_no_padding():
    tokens = torch.tensor([[101, 5, 91, 6, 102], [101, 5, 6, 92, 102]])
    marks = torch.tensor([[PAD, 0, -1, 0, PAD], [PAD, 0, 0, -1, PAD]], dtype=torch.int8)
    batch = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    changed = Intervention(1.0)(batch, marks).sample["input_ids"]
    assert changed.tolist() == [[101, 5, 92, 6, 102], [101, 5, 6, 91, 102]]


def test_embedded_tokens_are_exchanged_like_a_series():
    embedded = torch.rand(3, 6, 4)
    marks = MARKS[[0, 1, 3]].clone()
    changed = Intervention()(embedded, marks).sample
    inside = (marks < 0).unsqueeze(2).expand_as(embedded)
    assert torch.equal(changed[~inside], embedded[~inside])
    assert (changed[inside] != embedded[inside]).all()


def test_texts_that_were_never_padded_cannot_become_shorter():
    tokens, marks = TOKENS[1:2].repeat(2, 1), MARKS[1:2].repeat(2, 1)
    with pytest.raises(
        ValueError, match="never padded.*padding_token=.*categories of a table.*one_hot.*Or use intervene=False"
    ):
        Intervention(0.0)((tokens, torch.arange(2)), marks)
    changed = Intervention(0.0, padding_token=9)((tokens, torch.arange(2)), marks).sample[0]
    assert changed.tolist() == [[5, 6, 7, 6, 9, 9]] * 2


def test_the_padding_token_is_that_of_all_embeddings_that_have_one():
    words, places, others = nn.Embedding(9, 2, padding_idx=0), nn.Embedding(9, 2), nn.Embedding(9, 2, padding_idx=3)
    assert padding_token_of(nn.ModuleList([words, places])) == 0
    assert padding_token_of(nn.ModuleList([words, others])) is None
    assert padding_token_of(places) is None


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"word_ids": TOKENS.clone()}, "it is not known whether it moves with them"),
        ({"position_ids": TOKENS + 5}, "position_ids count neither the places nor the attention mask"),
        ({"position_ids": torch.tensor([[0, 1, 2, 0, 1, 2]] * 4)}, "packs several texts into one row.*Turn packing off"),
    ],
)
def test_what_would_have_to_move_and_cannot_is_an_error(extra, message):
    with pytest.raises(ValueError, match=message):
        Intervention()({"input_ids": TOKENS, **extra}, MARKS)


def test_where_a_text_has_no_place_stays_so():
    embedded = torch.rand(4, 6, 3)
    changed = Intervention(0.0)(embedded, MARKS, LOOKED_AT)
    assert torch.equal(changed.annotation == PAD, MARKS == PAD)
    assert not (changed.annotation < 0).any()


def test_nothing_is_put_where_an_embedded_text_has_no_place():
    embedded = torch.rand(2, 6, 3)
    marks = torch.tensor([[0, 0, 0, 0, -1, -1], [PAD, 0, 0, 0, 0, PAD]], dtype=torch.int8)
    changed = Intervention(1.0)(embedded, marks, LOOKED_AT[:2])
    assert changed.annotation[1].tolist() == [PAD, 0, 0, 0, -1, PAD]
    assert torch.equal(changed.sample[1, [0, 1, 2, 3, 5]], embedded[1, [0, 1, 2, 3, 5]])


def test_donors_without_the_labels_of_a_batch_are_left_aside():
    intervention = Intervention(1.0)
    intervention({"input_ids": TOKENS}, MARKS)
    batch = {"input_ids": TOKENS[:2], "labels": 10 * TOKENS[:2]}
    changed = intervention(batch, MARKS[:2]).sample
    assert changed["input_ids"].tolist() == [[5, 92, 93, 6, 7, 0], [5, 6, 91, 7, 6, 0]]


def test_labels_of_tokens_come_along_with_them():
    labels = (10 * TOKENS).masked_fill(TOKENS == 0, -100)
    for presence in (0.0, 1.0):
        changed = Intervention(presence)({"input_ids": TOKENS, "labels": labels}, MARKS, LOOKED_AT).sample
        assert torch.equal(changed["labels"], (10 * changed["input_ids"]).masked_fill(changed["input_ids"] == 0, -100))


def test_labels_of_a_decoder_stay():
    labels = torch.full_like(TOKENS, 7)
    batch = {"input_ids": TOKENS, "labels": labels, "decoder_input_ids": labels}
    assert Intervention(0.0)(batch, MARKS, LOOKED_AT).sample["labels"] is labels
    batch = {"input_ids": TOKENS, "labels": labels}
    assert Intervention(0.0, fixed=["labels"])(batch, MARKS, LOOKED_AT).sample["labels"] is labels


def test_the_places_of_an_answer_follow_its_tokens():
    tokens, marks = TOKENS[[1, 3, 1]], MARKS[[1, 3, 1]]
    batch = {
        "input_ids": tokens,
        "start_positions": torch.tensor([4, 0, 2]),  # the 7, the first 4, and what is marked
        "end_positions": torch.tensor([5, 6, 4]),  # behind the text, which losses ignore
    }
    changed = Intervention(0.0, padding_token=0)(batch, marks, torch.ones(3, dtype=torch.bool))
    assert changed.sample["start_positions"].tolist() == [2, 0, 2]
    assert changed.sample["end_positions"].tolist() == [3, 6, 4]
    assert torch.equal(changed.sample["input_ids"][2], tokens[2])  # or its answer would be gone
    assert changed.changed.tolist() == [True, True, False]


def test_an_answer_does_not_give_way_to_what_is_put_in():
    tokens, marks = torch.tensor([[5, 6, 7, 8], [9, 91, 92, 4]]), torch.tensor([[0, 0, 0, 0], [0, -1, -1, 0]])
    batch = {"input_ids": tokens, "start_positions": torch.tensor([3, 0]), "end_positions": torch.tensor([3, 0])}
    for seed in range(5):
        changed = Intervention(1.0, padding_token=0, seed=seed)(batch, marks, torch.ones(2, dtype=torch.bool)).sample
        assert changed["input_ids"][0, changed["start_positions"][0]] == 8
        assert {91, 92} <= set(changed["input_ids"][0].tolist())


def test_position_numbers_that_count_the_mask_are_counted_anew():
    tokens, marks = TOKENS.flip(1), MARKS.flip(1)
    mask = (tokens != 0).long()
    positions = (mask.cumsum(1) - 1).masked_fill(mask == 0, 1)
    batch = {"input_ids": tokens, "attention_mask": mask, "position_ids": positions}
    changed = Intervention(0.0)(batch, marks, LOOKED_AT).sample
    shown = changed["attention_mask"]
    assert not torch.equal(shown, mask)
    assert torch.equal(changed["position_ids"], (shown.cumsum(1) - 1).masked_fill(shown == 0, 1))


def test_of_multiple_choice_each_choice_is_a_text():
    batch = {"input_ids": TOKENS.view(2, 2, 6), "attention_mask": (TOKENS != 0).long().view(2, 2, 6)}
    marks, everybody = MARKS.view(2, 2, 6), torch.ones(2, dtype=torch.bool)
    changed = Intervention(0.0)(batch, marks, everybody)
    flat = Intervention(0.0)({key: value.flatten(0, 1) for key, value in batch.items()}, MARKS, LOOKED_AT)
    assert torch.equal(changed.sample["input_ids"].flatten(0, 1), flat.sample["input_ids"])
    assert torch.equal(changed.sample["attention_mask"].flatten(0, 1), flat.sample["attention_mask"])
    made = Intervention().with_presence(True, batch, marks, everybody)
    assert torch.equal(made.sample["input_ids"][1, 0], TOKENS[2])  # the other choice of a sample that has the thing
    assert made.done.tolist() == [True, True]


def test_what_is_exchanged_may_stand_anywhere():
    texts, found = (TOKENS, torch.arange(4)), set()
    for seed in range(60):
        changed = Intervention(1.0, place="random", seed=seed)(texts, MARKS)
        tokens, marks = changed.sample[0], changed.annotation
        for row in (0, 1, 3):
            assert words(tokens[row], marks[row], True) in SPANS - {words(TOKENS[row], MARKS[row], True)}
            assert words(tokens[row], marks[row], False) == words(TOKENS[row], MARKS[row], False)
        found.add(int((marks[1] < 0).int().argmax()))
    assert found == {0, 1, 2, 3, 4}


def test_where_answers_have_places_what_is_exchanged_stands_anywhere_but_inside_the_answer():
    tokens, marks = TOKENS[[1, 1, 3]], MARKS[[1, 1, 3]]
    marks[1], tokens[1] = 0, torch.tensor([1, 2, 3, 4, 8, 9])  # a text without a mark
    spans = {"start_positions": torch.tensor([4, 2, 4]), "end_positions": torch.tensor([5, 3, 4])}
    everybody, found = torch.ones(3, dtype=torch.bool), set()
    for seed in range(60):
        changed = Intervention(1.0, seed=seed, padding_token=0)({"input_ids": tokens, **spans}, marks, everybody)
        ids, starts = changed.sample["input_ids"], changed.sample["start_positions"]
        for row, answer in enumerate([[7, 6], [3, 4], [5]]):
            assert ids[row, starts[row] : changed.sample["end_positions"][row] + 1].tolist() == answer
        found.add(int((changed.annotation[0] < 0).int().argmax()))
    assert found == {0, 1, 2, 4}  # before each word and behind the last one, not between 7 and 6
    own = Intervention(1.0, place="own")({"input_ids": tokens, **spans}, marks).annotation[0]
    assert own[2] == -1


def test_of_a_question_and_a_text_what_is_exchanged_stays_in_the_marked_one():
    tokens = torch.tensor([[101, 5, 6, 102, 7, 91, 8, 102], [101, 5, 6, 102, 92, 7, 8, 102]])
    marks = torch.tensor([[PAD, 0, 0, PAD, 0, -1, 0, PAD], [PAD, 0, 0, PAD, -1, 0, 0, PAD]], dtype=torch.int8)
    spans = {"start_positions": torch.tensor([6, 6]), "end_positions": torch.tensor([6, 6])}
    batch = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), **spans}
    found = {Intervention(1.0, seed=seed)(batch, marks).sample["input_ids"][0].tolist().index(92) for seed in range(40)}
    assert found == {4, 5, 6}
    batch |= {key: torch.zeros(2, dtype=torch.long) for key in spans}  # no answer
    found = {Intervention(1.0, seed=seed)(batch, marks).sample["input_ids"][0].tolist().index(92) for seed in range(40)}
    assert found == {4, 5, 6}


def test_what_is_put_into_a_text_without_a_mark_goes_where_its_answer_is():
    tokens = torch.tensor([[101, 5, 6, 102, 7, 9, 8, 102, 0], [101, 5, 6, 102, 92, 7, 8, 102, 0]])
    marks = torch.tensor([[PAD, 0, 0, PAD, 0, 0, 0, PAD, PAD], [PAD, 0, 0, PAD, -1, 0, 0, PAD, PAD]], dtype=torch.int8)
    spans = {"start_positions": torch.tensor([6, 6]), "end_positions": torch.tensor([6, 6])}
    batch = {"input_ids": tokens, "attention_mask": (tokens != 0).long(), **spans}
    found = set()
    for seed in range(40):
        changed = Intervention(1.0, seed=seed)(batch, marks, LOOKED_AT[:2]).sample["input_ids"][0].tolist()
        found.add(changed.index(92))
        assert [one for one in changed if one != 92] == [101, 5, 6, 102, 7, 9, 8, 102]
    assert found == {4, 5, 6, 7}


def test_as_many_words_give_way_as_there_is_no_room_for_and_the_end_of_a_text_stays():
    tokens = torch.tensor([[1, 2, 3, 4, 5, 6, 7, 102], [91, 92, 93, 94, 3, 2, 1, 102]])
    marks = torch.tensor([[0] * 7 + [PAD], [-1] * 4 + [0] * 3 + [PAD]], dtype=torch.int8)
    batch = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    changed = Intervention(1.0, padding_token=0)(batch, marks, LOOKED_AT[:2])
    assert words(changed.sample["input_ids"][0], changed.annotation[0], True) == (91, 92, 93, 94)
    assert words(changed.sample["input_ids"][0], changed.annotation[0], False) == (1, 2, 3)
    assert changed.sample["input_ids"][0, -1] == 102


def test_the_padding_to_the_left_grows_by_what_was_taken_out():
    tokens = torch.tensor([[0, 0, 5, 91, 92, 6, 7, 8], [0, 0, 0, 5, 6, 7, 8, 9]])
    marks = torch.tensor([[PAD, PAD, 0, -1, -1, 0, 0, 0], [PAD, PAD, PAD, 0, 0, 0, 0, 0]], dtype=torch.int8)
    batch = {"input_ids": tokens, "attention_mask": (tokens != 0).long()}
    changed = Intervention(0.0)(batch, marks, LOOKED_AT[:2]).sample
    assert changed["input_ids"].tolist() == [[0, 0, 0, 0, 5, 6, 7, 8], [0, 0, 0, 5, 6, 7, 8, 9]]
    assert changed["attention_mask"].tolist() == [[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1, 1]]


def test_padding_is_told_by_the_mask_among_other_tensors_that_have_no_names():
    """Special tokens have no place either, and types of tokens are 0 or 1, too."""
    tokens = torch.tensor([[101, 5, 91, 6, 102, 99], [101, 5, 6, 92, 7, 102]])
    marks = torch.tensor([[PAD, 0, -1, 0, PAD, PAD], [PAD, 0, 0, -1, 0, PAD]], dtype=torch.int8)
    types, shown = torch.tensor([[0, 1, 1, 0, 0, 0]] * 2), (tokens != 99).long()
    expected = [[101, 5, 6, 102, 99, 99], [101, 5, 6, 7, 102, 99]]
    for mask in (shown, 1 - shown, shown.bool(), ~shown.bool()):
        assert Intervention(0.0)((tokens, types, mask), marks).sample[0].tolist() == expected
    choices = {"input_ids": tokens.unsqueeze(0), "types": types.unsqueeze(0), "mask": shown.unsqueeze(0)}
    assert Intervention(0.0)(choices, marks.unsqueeze(0)).sample["input_ids"].tolist() == [expected]


def test_position_numbers_of_choices_that_count_the_places_stay():
    batch = {"input_ids": TOKENS.view(2, 2, 6), "attention_mask": (TOKENS != 0).long().view(2, 2, 6)}
    batch["position_ids"] = torch.arange(6).expand(2, 2, 6).clone()
    changed = Intervention(0.0)(batch, MARKS.view(2, 2, 6), torch.ones(2, dtype=torch.bool)).sample
    assert not torch.equal(changed["input_ids"], batch["input_ids"])
    assert torch.equal(changed["position_ids"], batch["position_ids"])


@pytest.mark.parametrize("has_decoder", [True, False])
def test_a_model_with_a_decoder_of_its_own_has_labels_that_stay(has_decoder):
    model = nn.Sequential(nn.Linear(1, 1), nn.Identity())
    assert keys_of_decoder(model) == ()
    model[1].config = SimpleNamespace(is_encoder_decoder=has_decoder)
    assert ("labels" in keys_of_decoder(model)) == has_decoder


def test_where_only_the_place_tells_marked_words_move_and_stay_what_they_are():
    labels, found = (10 * TOKENS).masked_fill(TOKENS == 0, -100), set()
    for seed in range(40):
        batch = {"input_ids": TOKENS, "labels": labels}
        changed = Intervention(place="random", exchange=False, seed=seed)(batch, MARKS)
        tokens, marks = changed.sample["input_ids"], changed.annotation
        for row in range(4):
            for marked in (True, False):
                assert words(tokens[row], marks[row], marked) == words(TOKENS[row], MARKS[row], marked)
        assert torch.equal(changed.sample["labels"], (10 * tokens).masked_fill(tokens == 0, -100))
        found.add(int((marks[1] < 0).int().argmax()))
    assert found == {0, 1, 2, 3, 4}
    with pytest.raises(ValueError, match="exchange=False needs place='random'"):
        Intervention(exchange=False)


def test_between_stops_no_sentence_is_cut_in_two():
    tokens = torch.tensor([[91, 92, 9, 5, 6, 9, 7, 8, 9], [93, 94, 9, 6, 5, 8, 9, 0, 0]])
    marks = torch.tensor([[-1] * 3 + [0] * 6, [-1] * 3 + [0] * 4 + [PAD] * 2], dtype=torch.int8)
    found = set()
    for seed in range(40):
        changed = Intervention(1.0, place="random", stops=[9], seed=seed)((tokens, torch.arange(2)), marks).sample[0]
        found.add(changed[0].tolist().index(93))
        assert changed[1].tolist()[:7] in ([91, 92, 9, 6, 5, 8, 9], [6, 5, 8, 9, 91, 92, 9])
    assert found == {0, 3, 6}
    without = tokens.masked_fill((tokens == 9) & (marks >= 0), 4)  # a text that has none
    found = [Intervention(1.0, place="random", stops=[9], seed=seed)((without, torch.arange(2)), marks) for seed in range(60)]
    assert {one.sample[0][0].tolist().index(93) for one in found} == set(range(7))
    with pytest.raises(TypeError, match="stops"):
        Intervention(stops=["."])


def test_two_spans_that_come_to_one_place_do_not_mingle():
    tokens = torch.tensor([[91, 92, 5, 93, 94], [81, 82, 6, 83, 84]])
    marks = torch.tensor([[-1, -1, 0, -1, -1]] * 2, dtype=torch.int8)
    for seed in range(20):
        changed = Intervention(1.0, place="random", seed=seed)((tokens, torch.arange(2)), marks).sample[0].tolist()
        for row in changed:
            pairs = [(one, row[place + 1]) for place, one in enumerate(row[:-1]) if one in (91, 93, 81, 83)]
            assert len(pairs) == 2
            assert all(other == one + 1 for one, other in pairs)


def test_only_texts_of_token_numbers_have_random_places():
    marks = MARKS[[0, 1, 3]]
    with pytest.raises(ValueError, match="place='random' is for texts given as token numbers.*input of shape \\(6, 4\\)"):
        Intervention(place="random")(torch.rand(3, 6, 4), marks)


def test_where_room_is_needed_words_with_a_label_go_last():
    ids = torch.tensor([[11, 12, 13, 14, 15, 16], [21, 22, 23, 24, 25, 26]])
    marks = torch.tensor([[-1, 0, 0, 0, 0, 0], [-1, -1, -1, 0, 0, 0]])
    labels = torch.tensor([[-100, -100, -100, -100, 3, 4], [-100] * 6])
    changed = Intervention(padding_token=0)({"input_ids": ids, "labels": labels}, marks).sample
    assert changed["input_ids"][0].tolist() == [21, 22, 23, 12, 15, 16]  # 13 and 14 made room, from behind
    assert changed["labels"][0].tolist() == [-100, -100, -100, -100, 3, 4]


def test_a_text_without_the_words_is_given_as_many_spans_as_another_has():
    ids = torch.tensor([[11, 12, 13, 14, 15, 16, 0, 0], [21, 22, 23, 24, 25, 0, 0, 0]])
    marks = torch.tensor([[-1, 0, 0, -1, 0, 0, PAD, PAD], [0, 0, 0, 0, 0, PAD, PAD, PAD]])
    everybody = torch.ones(2, dtype=torch.bool)
    made = Intervention(padding_token=0).with_presence(True, ids, marks, everybody)
    assert made.sample[1].tolist() == [11, 21, 22, 14, 23, 24, 25, 0]  # in front of all, and behind half of the words


@pytest.mark.parametrize("at", [0, -1])
def test_a_word_that_always_stands_in_one_place_tells_nothing_by_it(at):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(512) % 2
    has = torch.rand(512, generator=generator) < torch.tensor([0.1, 0.9])[labels]
    tokens, marks = torch.randint(10, 99, (512, 7), generator=generator), torch.zeros(512, 7)
    tokens[:, 0], tokens[has, at], marks[has, at] = 9, 1, -1
    batch = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    changed = Intervention(padding_token=0)(batch, marks, torch.ones(512, dtype=torch.bool))
    shown = changed.sample["input_ids"] == 1
    assert torch.equal(shown, changed.annotation < 0)
    places = shown.int().argmax(1)[shown.any(1)]
    assert ((places == 0) if at == 0 else (places >= 5)).all()
    share = [shown[labels == label].any(1).float().mean() for label in (0, 1)]
    assert abs(share[0] - share[1]) < 0.1


def test_another_span_of_the_same_text_is_no_donor_of_it():
    ids = torch.tensor([[21, 5, 21, 6, 21, 7], [22, 5, 22, 6, 22, 7]])
    marks = torch.tensor([[-1, 0, -1, 0, -1, 0]] * 2)
    for seed in range(10):
        changed = Intervention(seed=seed)(ids, marks).sample
        assert changed.tolist() == [[22, 5, 22, 6, 22, 7], [21, 5, 21, 6, 21, 7]]
    alone = Intervention(padding_token=0)
    assert alone(ids[:1], marks[:1]).sample.tolist() == [[5, 6, 7, 0, 0, 0]]
    assert alone.has_one_donor  # three spans of one text are one donor


def test_a_text_is_known_again_however_long_its_padding_is():
    intervention = Intervention(padding_token=9)
    for padding in (1, 3):
        ids = torch.tensor([[21, 5, 6] + [9] * padding])
        changed = intervention(ids, torch.tensor([[-1, 0, 0] + [PAD] * padding])).sample
        assert changed.tolist() == [[5, 6, 9] + [9] * padding]


def test_a_text_of_which_nothing_would_be_left_stays():
    ids, marks = torch.tensor([[5, 6, 7], [8, 9, 0]]), torch.tensor([[-1, -1, -1], [-1, 0, PAD]])
    changed = Intervention(0.0)((ids, torch.arange(2)), marks, torch.ones(2, dtype=torch.bool))
    assert changed.sample[0].tolist() == [[5, 6, 7], [9, 0, 0]]
    assert changed.changed.tolist() == [False, True]
    assert changed.annotation.tolist() == [[-1, -1, -1], [0, PAD, PAD]]
