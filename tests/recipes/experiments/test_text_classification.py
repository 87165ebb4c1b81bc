"""A user's own texts and spans."""

import csv
import json

import pytest
from support import ONE_EPOCH

from salreg.recipes.command.cli import main
from salreg.recipes.experiments.text_classification import build, made_reviews
from salreg.recipes.training.config import load


@pytest.fixture(autouse=True)
def reviews(tmp_path):
    written, labels, marks = made_reviews(60)
    with (tmp_path / "reviews.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(written, labels, strict=True)])
    lines = [{"text": one.text, "label": [[*span, "rating"] for span in one.spurious]} for one in marks.values()]
    (tmp_path / "spans.jsonl").write_text("\n".join(map(json.dumps, lines)))


GIVEN = ["data.root=reviews.csv", "data.annotations=spans.jsonl", "data.categories={rating: spurious}"]


def test_spans_mark_the_words_they_cover(caplog):
    with caplog.at_level("INFO"):
        experiment = build(load("text_classification", GIVEN))
    assert "60 texts of 2 classes: 30 were looked at, 30 carry marks; 0 annotations without text" in caplog.text
    words = experiment.train.dataset.base.vocabulary
    for sample in experiment.train.dataset:
        covered = [words[token] for token, mark in zip(sample.sample[0], sample.annotation, strict=True) if mark == -1]
        assert covered in ([["one", "stars"], ["five", "stars"]] if sample.looked_at else [[]])


def test_a_list_of_words_marks_them_in_every_text():
    experiment = build(load("text_classification", ["data.root=reviews.csv", "data.words=[stars]"]))
    assert all((sample.annotation == -1).sum() == 1 for sample in experiment.train.dataset)


def test_it_runs_on_a_users_table_and_on_a_made_one():
    assert main(["run", "text_classification", *GIVEN, *ONE_EPOCH]) == 0
    assert main(["run", "text_classification", *ONE_EPOCH]) == 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.root=reviews.csv"], "data.annotations is missing"),
        ([*GIVEN, "data.text=texts"], "no column 'texts' (did you mean 'text'?); data.text names it. It has: text, label"),
        ([*GIVEN, "data.categories={ratings: spurious}"], "has the label 'ratings' (did you mean 'rating'?)"),
        ([*GIVEN, "data.label=text"], "has 60 classes in 60 rows"),
        (["data.root=nowhere.csv", *GIVEN[1:]], "nowhere.csv"),
    ],
)
def test_mistakes_are_one_line(capsys, overrides, message):
    assert main(["run", "text_classification", *overrides, *ONE_EPOCH]) == 2
    assert message in capsys.readouterr().err


def test_spans_of_other_texts_are_said(tmp_path, capsys):
    (tmp_path / "spans.jsonl").write_text(json.dumps({"text": "Another.", "label": [[0, 7, "rating"]]}))
    assert main(["run", "text_classification", *GIVEN, *ONE_EPOCH]) == 2
    assert "None of the 1 annotated texts is one of the 60" in capsys.readouterr().err
