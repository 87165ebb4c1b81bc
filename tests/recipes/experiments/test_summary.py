"""Reports whose lead says the summary, and how what a model writes is measured."""

import json

import pytest
import torch

from salreg.annotations import NO_PLACE
from salreg.recipes.command.cli import main
from salreg.recipes.data.reports import END, Report, Reports, made_reports
from salreg.recipes.data.texts import Vocabulary
from salreg.recipes.experiments.summary import _Rouge

FAST = [
    "trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1", "trainer.limit_test_batches=1",
    "trainer.enable_progress_bar=false", "snapshots.panel=2", "snapshots.sanity=false", "logger=none",
    "trainer.accelerator=cpu",
]  # fmt: skip


def said(words):
    """Who did what, after each "the"."""
    return [words[place + 1 : place + 3] for place, word in enumerate(words) if word == "the"]


def test_in_training_the_lead_says_what_the_report_says():
    for one in made_reports(20, 0, "agrees"):
        assert said(one.words) == [one.summary, one.summary]
        assert one.words[: one.lead] == ["the", *one.summary, "."]


def test_where_it_lies_the_report_alone_says_the_summary():
    made = made_reports(200, 0, "lies")
    lies = [one for one in made if one.group == "lead lies"]
    assert 80 < len(lies) < 120
    for one in lies:
        lead, body = said(one.words)
        assert body == one.summary
        assert lead[0] != body[0]
        assert lead[1] != body[1]


def test_without_a_lead_nothing_is_marked():
    (one,) = made_reports(1, 0, "absent")
    assert said(one.words) == [one.summary]
    assert Reports([one], Vocabulary([one.words])).annotations == [None]
    with pytest.raises(ValueError, match="agrees, lies or absent, not 'moved'"):
        made_reports(1, 0, "moved")


def test_the_lead_is_marked_and_nothing_is_put_behind_the_end():
    one = Report(["the", "cat", "the", "cat"], ["cat"], 2, "lead agrees")
    data = Reports([one], Vocabulary([[*one.words, END]]))
    assert data.annotations[0].tolist() == [-1, -1, 0, 0, NO_PLACE]
    assert [data.vocabulary[number] for number in data[0]["labels"]] == ["cat", END]


def test_rouge_is_that_of_the_words_in_common():
    class Written:
        def generate(self, **_):
            return torch.tensor([[2, 3, 4], [3, 2, 4]])

    batch = {"labels": torch.tensor([[2, 4, -100], [2, 3, 4]]), "input_ids": None, "attention_mask": None}
    found = _Rouge(["<pad>", "<unknown>", "cat", "sat", END])(Written(), batch)
    assert found["rouge1"].tolist() == pytest.approx([2 / 3, 1])
    assert found["rougeL"].tolist() == pytest.approx([2 / 3, 1 / 2])


def test_the_recipe_runs_on_a_made_sample(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "summary", *FAST]) == 0
    (results,) = tmp_path.glob("runs/summary/*/results.json")
    assert {"test/rougeL", "test/rouge1_lead_lies", "test/reliance"} <= set(json.loads(results.read_text()))
