"""Questions whose words are planted beside the answer: where they stand, what is marked, and reviews as texts."""

import json
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import one_hot
from transformers import BertConfig, BertModel

from salreg.annotations import NO_PLACE
from salreg.recipes.command.cli import main
from salreg.recipes.data.questions import Question, Questions, glued_questions, made_questions, with_overlap
from salreg.recipes.data.texts import Vocabulary
from salreg.recipes.networks import minilm
from salreg.recipes.networks.language_module import span_f1
from salreg.recipes.training.config import ConfigError, load
from salreg.recipes.training.run import build, seeded

FAST = [
    "trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1", "trainer.limit_test_batches=2",
    "trainer.enable_progress_bar=false", "snapshots.panel=2", "snapshots.sanity=false", "logger=none",
    "trainer.accelerator=cpu",
]  # fmt: skip


def test_the_question_is_repeated_before_the_answer_in_training():
    plain = made_questions(20, seed=0)
    for before, one in zip(plain, with_overlap(plain, 0.0, seed=0), strict=True):
        assert one.words[one.answer[0] : one.answer[1] + 1] == before.words[before.answer[0] : before.answer[1] + 1]
        assert one.words[slice(*one.overlap)] == ["the", one.asked[3], "liked", ":"]
        assert one.overlap[1] == one.answer[0]
        assert one.group == "overlap agrees"


def test_where_it_lies_it_stands_before_other_words():
    plain = made_questions(100, seed=0)
    for before, one in zip(plain, with_overlap(plain, 1.0, seed=0), strict=True):
        assert one.words[one.answer[0] : one.answer[1] + 1] == before.words[before.answer[0] : before.answer[1] + 1]
        assert one.words[slice(*one.overlap)] == ["the", one.asked[3], "liked", ":"]
        assert one.overlap[1] != one.answer[0]
        assert one.group == "overlap lies"


def test_places_count_from_the_question_and_only_the_text_has_places_for_marks():
    one = Question(["why", "?"], ["the", ":", "so", "good"], (2, 3), (0, 2), "overlap agrees")
    start, between = Vocabulary.start, Vocabulary.between
    data = Questions([one], Vocabulary([[start, between, *one.asked, *one.words]]))
    row, marks = data[0], data.annotations[0]
    named = [data.vocabulary[number] for number in row["input_ids"]]
    assert named == [start, "why", "?", between, "the", ":", "so", "good", between]
    assert named[row["start_positions"] : row["end_positions"] + 1] == ["so", "good"]
    assert marks.tolist() == [NO_PLACE] * 4 + [-1, -1, 0, 0, NO_PLACE]
    assert row["token_type_ids"].tolist() == [0] * 4 + [1] * 5


def test_a_span_that_is_half_right_counts_half():
    found = torch.tensor([[2, 5], [4, 5], [0, 1], [5, 2]])  # of two to five: all, its end, none, and nothing
    output = SimpleNamespace(start_logits=one_hot(found[:, 0], 8).float(), end_logits=one_hot(found[:, 1], 8).float())
    batch = {"start_positions": torch.full((4,), 2), "end_positions": torch.full((4,), 5)}
    assert span_f1(output, batch).tolist() == pytest.approx([1, 2 / 3, 0, 0])


def test_of_words_that_become_several_tokens_all_are_marked_and_answer():
    class Syllables(Vocabulary):
        def pieces(self, words):
            return [one * (2 if len(word) > 3 else 1) for word, one in zip(words, super().pieces(words), strict=True)]

    one = Question(["why", "?"], ["the", "story", ":", "superb", "."], (3, 3), (0, 3), "overlap agrees")
    data = Questions([one], Syllables([[*one.asked, *one.words, Vocabulary.start, Vocabulary.between]]))
    row, marks = data[0], data.annotations[0]
    named = [data.vocabulary[number] for number in row["input_ids"]]
    assert named[row["start_positions"] : row["end_positions"] + 1] == ["superb"] * 2
    assert [word for word, mark in zip(named, marks.tolist(), strict=True) if mark == -1] == ["the", "story", "story", ":"]
    assert (marks == NO_PLACE).sum() == 8  # two of each special word, which have more than three letters
    assert row["token_type_ids"].tolist() == [0] * 6 + [1] * 9


def test_the_praise_among_remarks_answers_and_where_it_lies_a_blame_is_pointed_at():
    praises, blames = [["a", "fine", "cast"], ["great", "fun"]], [["too", "long"], ["it", "is", "so", "dull"]]
    plain = glued_questions(praises, blames, 40, seed=0)
    assert {one.answer[0] == 0 for one in plain} == {True, False}
    for before, one in zip(plain, with_overlap(plain, 1.0, seed=0), strict=True):
        assert before.words[before.answer[0] : before.answer[1] + 1] in praises
        assert before.words.count(".") == 3
        assert one.words[one.answer[0] : one.answer[1] + 1] in praises
        pointed_at = one.words[one.overlap[1] :]
        assert pointed_at[: pointed_at.index(".")] in blames


@pytest.fixture
def reviews(tmp_path):
    """Reviews in the layout of ERASER's movies: sixty words, of which four are the reason."""
    (tmp_path / "docs").mkdir()
    lines = []
    for label in ("NEG", "POS"):
        (tmp_path / "docs" / label).write_text(" ".join(f"{label}{number}" for number in range(60)))
        evidence = [{"start_token": 10, "end_token": 12}, {"start_token": 30, "end_token": 34}]
        lines.append(json.dumps({"annotation_id": label, "evidences": [evidence], "classification": label}))
    for name in ("train", "val", "test"):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_of_reviews_the_reasons_are_the_remarks_if_they_are_long_enough(reviews):
    base = build(load("qa", [f"data.root={reviews}", "data.overlap=false"])).train.dataset.base
    for row in base.rows[:50]:
        named = [base.vocabulary[number] for number in row["input_ids"]]
        assert named[row["start_positions"] : row["end_positions"] + 1] == ["POS30", "POS31", "POS32", "POS33"]
        assert named.count("NEG30") == 2
    with pytest.raises(ConfigError, match="at least 4 words, not 3"):
        seeded(load("qa", [f"data.root={reviews}", "data.longest=3"]))


def test_reviews_without_a_reason_that_is_short_enough_are_an_error(reviews):
    path = reviews / "train.jsonl"
    path.write_text(path.read_text().replace('"end_token": 34', '"end_token": 50'))
    with pytest.raises(ConfigError, match="has no reason of 4 to 12 words in a negative review. Raise"):
        seeded(load("qa", [f"data.root={reviews}"]))


def test_a_pretrained_encoder_reads_the_same_questions(monkeypatch, reviews, tmp_path):
    """A tiny one in place of MiniLM, whose package is not everywhere."""
    config = BertConfig(vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    monkeypatch.setattr(minilm, "_encoder", lambda: BertModel(config, add_pooling_layer=False).train())
    words = Vocabulary([f"{label}{number}" for number in range(30, 34)] for label in ("NEG", "POS"))
    monkeypatch.setattr(minilm, "SubWords", lambda: words)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "qa", f"data.root={reviews}", "model=minilm", *FAST]) == 0
    assert len(list(tmp_path.glob("runs/qa/*/results.json"))) == 1


def test_an_unknown_model_is_an_error():
    with pytest.raises(ConfigError, match="bert or minilm, not 'gpt'"):
        seeded(load("qa", ["model=gpt"]))


def test_the_recipe_runs_on_a_made_sample(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "qa", *FAST]) == 0
    (results,) = tmp_path.glob("runs/qa/*/results.json")
    assert {"test/accuracy", "test/accuracy_overlap_lies", "test/f1_overlap_lies", "test/reliance"} <= set(
        json.loads(results.read_text())
    )
