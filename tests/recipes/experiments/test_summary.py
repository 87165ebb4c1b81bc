"""Texts whose lead says the summary, and how what a model writes or extracts is measured."""

import json
from types import SimpleNamespace

import pytest
import torch
from transformers import BertConfig, BertModel

from salreg.annotations import NO_PLACE
from salreg.recipes.command.cli import main
from salreg.recipes.data.extracts import Extract, Extracts, extracts
from salreg.recipes.data.reports import END, Report, Reports, made_reports
from salreg.recipes.data.texts import Vocabulary
from salreg.recipes.experiments.summary import _Writing
from salreg.recipes.networks import minilm
from salreg.recipes.networks.extracting import Extracting
from salreg.recipes.networks.rouge import Rouge
from salreg.recipes.training.callbacks import callbacks
from salreg.recipes.training.config import ConfigError, load
from salreg.recipes.training.run import seeded

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
    found = _Writing(Rouge(["<pad>", "<unknown>", "cat", "sat", END], silent=[0, 4]))(Written(), batch)
    assert found["rouge1"].tolist() == pytest.approx([2 / 3, 1])
    assert found["rougeL"].tolist() == pytest.approx([2 / 3, 1 / 2])


REASON, NEUTRAL = "a truly great and fine film", "then they go to the {}"
REVIEW = f"{NEUTRAL.format('park')} . {REASON} ! {NEUTRAL.format('sea')} . no . {NEUTRAL.format('bar')} ?".split()


def texts_of(lead, size=40):
    return extracts([(REVIEW, [(9, 12)])] * size, size, longest=10, seed=0, lead=lead)


def test_the_sentence_of_which_half_is_a_reason_is_the_summary_beside_two_without_any():
    for one in texts_of("agrees"):
        assert " ".join(one.sentences[0]) == f"{REASON} ."
        assert one.summary == 0
        assert all(words[:3] == ["then", "they", "go"] and words[-1] == "." for words in one.sentences[1:])
        assert one.sentences[1] != one.sentences[2]
    assert extracts([(REVIEW, [(9, 11)])], 1, longest=10, seed=0, lead="agrees") == []  # two of six words
    assert extracts([(REVIEW, [(9, 12)])], 1, longest=5, seed=0, lead="agrees") == []


def test_where_the_lead_lies_the_summary_stands_behind_it():
    for lead, places in {"agrees": {0}, "lies": {0, 1, 2}, "absent": {0, 1, 2}}.items():
        found = texts_of(lead)
        assert {one.summary for one in found} == places
        for one in found:
            assert one.sentences[one.summary][-2] == "film"
            assert one.group == ("no lead" if lead == "absent" else "lead lies" if one.summary else "lead agrees")
    lies = [one.group for one in texts_of("lies", 4000)].count("lead lies")
    assert 1900 < lies < 2100


def test_the_first_sentence_is_marked_and_the_words_of_the_summary_are_tagged():
    one = Extract([["no", "."], ["so", "fine", "."]], 1, "lead lies")
    vocabulary = Vocabulary([["no", "so", "fine", ".", Vocabulary.start, Vocabulary.between]])
    data = Extracts([one, one._replace(group="no lead")], vocabulary)
    assert data.annotations[0].tolist() == [NO_PLACE, -1, -1, 0, 0, 0, NO_PLACE]
    assert data.annotations[1] is None
    assert data[0]["labels"].tolist() == [-100, 0, 0, 1, 1, 1, -100]


def test_the_sentence_whose_words_are_tagged_most_is_extracted():
    words = ["<pad>", ".", "no", "so", "fine"]
    batch = {
        "input_ids": torch.tensor([[2, 1, 3, 4, 1], [3, 4, 1, 0, 0]]),
        "labels": torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, -100, -100]]),
    }
    tags = torch.tensor([[0.0, 2.5, 1.0, 2.0, 1.0], [-1.0, -1.0, -1.0, 9.0, 9.0]])  # on average 1.25 and 1.33
    output = SimpleNamespace(logits=torch.stack([-tags, tags], 2))
    extracting = Extracting(1, Rouge(words, silent=[1]))
    assert extracting.chosen(output, batch).tolist() == [[False] * 2 + [True] * 3, [True] * 3 + [False] * 2]
    assert extracting.correct(output, batch).tolist() == [True, True]
    output.logits[0] *= -1  # the first sentence, then
    assert extracting.correct(output, batch).tolist() == [False, True]
    assert extracting.tested(lambda **_: output, batch)["rouge1"].tolist() == [0, 1]


def test_sub_words_are_joined_before_they_are_compared():
    found = Rouge(["<pad>", "film", "##s", "films", "."], silent=[4])([[1, 2, 4]], [[3]])
    assert found["rougeL"].tolist() == [1]


@pytest.fixture
def movies(tmp_path):
    """One review in the layout of ERASER's movies, whose second sentence is the reason."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a").write_text(" ".join(REVIEW))
    line = {"annotation_id": "a", "evidences": [[{"start_token": 7, "end_token": 13}]], "classification": "POS"}
    for name in ("train", "val", "test"):
        (tmp_path / f"{name}.jsonl").write_text("\n".join([json.dumps(line)] * 4))
    return tmp_path


@pytest.mark.parametrize("name", ["bert", "minilm"])
def test_the_recipe_extracts_from_reviews(name, movies, tmp_path, monkeypatch):
    """A tiny encoder stands in place of MiniLM, whose package is not everywhere."""
    config = BertConfig(vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    monkeypatch.setattr(minilm, "_encoder", lambda: BertModel(config, add_pooling_layer=False).train())
    monkeypatch.setattr(minilm, "SubWords", lambda: Vocabulary([[*REVIEW, Vocabulary.start, Vocabulary.between]]))
    monkeypatch.chdir(tmp_path)
    assert main(["run", "summary", f"data.root={movies}", f"model={name}", *FAST]) == 0
    (results,) = tmp_path.glob("runs/summary/*/results.json")
    assert {"test/rougeL", "test/rouge1_lead_agrees"} <= set(json.loads(results.read_text()))


def test_of_reviews_the_lead_moves_between_sentences_and_is_not_exchanged(movies):
    config = load("summary", [f"data.root={movies}"])
    experiment = seeded(config)
    own = callbacks(config, movies, experiment)[0].intervention
    assert (own.place, own.exchange) == ("random", False)
    assert [experiment.train.dataset.base.vocabulary[number] for number in own.stops] == ["."]
    config = load("summary", [f"data.root={movies}", "intervention.place=own", "intervention.exchange=true"])
    assert callbacks(config, movies, experiment)[0].intervention.place == "own"


def test_reviews_without_such_sentences_and_unknown_models_are_errors(movies):
    with pytest.raises(ConfigError, match=r"train.jsonl has no text of three sentences of 5 to 4 words. Raise data.longest"):
        seeded(load("summary", [f"data.root={movies}", "data.longest=4"]))
    with pytest.raises(ConfigError, match=r"model.name=minilm is for reviews \(data.root\)"):
        seeded(load("summary", ["model=minilm"]))
    with pytest.raises(ConfigError, match="bert or minilm, not 'bart'"):
        seeded(load("summary", [f"data.root={movies}", "model=bart"]))


def test_the_recipe_runs_on_a_made_sample(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "summary", *FAST]) == 0
    (results,) = tmp_path.glob("runs/summary/*/results.json")
    assert {"test/rougeL", "test/rouge1_lead_lies", "test/reliance"} <= set(json.loads(results.read_text()))
