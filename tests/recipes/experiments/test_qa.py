"""Questions whose words are planted beside the answer: where they stand, what is marked, and reviews as texts."""

import json
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import one_hot

from salreg.annotations import NO_PLACE
from salreg.recipes.command.cli import main
from salreg.recipes.data.questions import BETWEEN, START, Question, Questions, made_questions, with_overlap
from salreg.recipes.data.texts import Vocabulary
from salreg.recipes.networks.language_module import span_f1
from salreg.recipes.training.config import load
from salreg.recipes.training.run import build

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
    data = Questions([one], Vocabulary([[START, BETWEEN, *one.asked, *one.words]]))
    row, marks = data[0], data.annotations[0]
    named = [data.vocabulary[number] for number in row["input_ids"]]
    assert named == [START, "why", "?", BETWEEN, "the", ":", "so", "good", BETWEEN]
    assert named[row["start_positions"] : row["end_positions"] + 1] == ["so", "good"]
    assert marks.tolist() == [NO_PLACE] * 4 + [-1, -1, 0, 0, NO_PLACE]
    assert row["token_type_ids"].tolist() == [0] * 4 + [1] * 5


def test_a_span_that_is_half_right_counts_half():
    found = torch.tensor([[2, 5], [4, 5], [0, 1], [5, 2]])  # of two to five: all, its end, none, and nothing
    output = SimpleNamespace(start_logits=one_hot(found[:, 0], 8).float(), end_logits=one_hot(found[:, 1], 8).float())
    batch = {"start_positions": torch.full((4,), 2), "end_positions": torch.full((4,), 5)}
    assert span_f1(output, batch).tolist() == pytest.approx([1, 2 / 3, 0, 0])


@pytest.fixture
def reviews(tmp_path):
    """Reviews in the layout of ERASER's movies: sixty words, of which four are the reason."""
    (tmp_path / "docs").mkdir()
    words = [f"w{number}" for number in range(60)]
    (tmp_path / "docs" / "a").write_text(" ".join(words))
    evidence = {"start_token": 30, "end_token": 34}
    line = json.dumps({"annotation_id": "a", "evidences": [[evidence]], "classification": "NEG"})
    for name in ("train", "val", "test"):
        (tmp_path / f"{name}.jsonl").write_text("\n".join([line] * 3))
    return tmp_path


def test_of_a_review_the_reason_is_the_answer(reviews):
    options = [f"data.root={reviews}", "data.longest=20", "data.overlap=false"]
    base = build(load("qa", options)).train.dataset.base
    for row in base.rows:
        named = [base.vocabulary[number] for number in row["input_ids"]]
        assert named[row["start_positions"] : row["end_positions"] + 1] == ["w30", "w31", "w32", "w33"]
        assert "disliked" in named[:8]
        assert len(named) == 6 + 3 + 20


def test_the_recipe_runs_on_a_made_sample(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "qa", *FAST]) == 0
    (results,) = tmp_path.glob("runs/qa/*/results.json")
    assert {"test/accuracy", "test/accuracy_overlap_lies", "test/f1_overlap_lies", "test/reliance"} <= set(
        json.loads(results.read_text())
    )
