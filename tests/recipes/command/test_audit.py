"""``salreg audit`` as a user types it, on runs of texts and of a table."""

import json
import shutil
import statistics

import pytest

from salreg import AnnotatedDataset
from salreg.recipes.command.cli import main

FAST = [
    "trainer.max_epochs=1", "trainer.enable_progress_bar=false", "trainer.limit_train_batches=3", "trainer.log_every_n_steps=1",
    "trainer.limit_val_batches=1", "trainer.limit_test_batches=1", "trainer.num_sanity_val_steps=0", "snapshots.panel=2",
    "snapshots.probes=[]", "snapshots.sanity=false", "logger=none",
]  # fmt: skip


def trained(recipe, out, *overrides):
    assert main(["run", recipe, *FAST, f"out={out}", *overrides]) == 0
    (folder,) = (out / recipe).iterdir()
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Runs before and after."""
    return [
        trained("bias_audit", tmp_path_factory.mktemp("plain"), "regularizer.intervene=false", "regularizer.weight=0"),
        trained("bias_audit", tmp_path_factory.mktemp("regularised")),
    ]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return trained("compas", tmp_path_factory.mktemp("table"), "regularizer.weight=0")


def test_two_runs_are_audited_side_by_side(texts, tmp_path, capsys):
    out = tmp_path / "found"
    assert main(["audit", *map(str, texts), "--out", str(out), "--pairs", "3"]) == 0
    printed = capsys.readouterr().out
    assert "of the predictions change when" in printed
    assert str(out / "audit.html") in printed
    found = json.loads((out / "audit.json").read_text())
    before, after = found["audits"].values()
    assert before["samples"] == after["samples"] == 400
    assert len(after["pairs"]) == 3
    assert {use["axis"] for use in after["uses"]} == {"gender", "faith", "orientation", "gender identity", "origin"}
    assert "its content was exchanged" in after["marked"]
    assert "nothing was exchanged" in before["marked"]
    assert {one["axis"] for one in after["groups"]} >= {"group", "faith"}
    assert set(after["uses"][2]["saliency"]) == {"input_times_gradient", "occlusion"}
    assert "## What the model relies on" in (out / "model_card.md").read_text()


def test_a_lexicon_of_ones_own_is_asked_about_and_nothing_is_overwritten(texts, tmp_path, capsys):
    lexicon = tmp_path / "mine.yaml"
    lexicon.write_text("size: {small: [word1], large: [word2]}\n")
    for _ in range(2):
        assert main(["audit", str(texts[0]), "--lexicon", str(lexicon)]) == 0
    assert len(list((texts[0] / "audit").iterdir())) == 2
    for folder in (texts[0] / "audit").iterdir():
        (found,) = json.loads((folder / "audit.json").read_text())["audits"].values()
        assert [use["name"] for use in found["uses"]] == ["small", "large"]


def test_the_columns_of_a_table_are_audited_by_feature(table, tmp_path):
    assert main(["audit", str(table), "--out", str(tmp_path / "found"), "--positive", "arrested again"]) == 0
    (found,) = json.loads((tmp_path / "found" / "audit.json").read_text())["audits"].values()
    assert {use["name"] for use in found["uses"]} == {"race", "felony", "age", "male", "prior arrests", "charge"}
    assert {one["name"] for one in found["groups"]} == {"neither", "black", "white"}
    assert "race African-American" in found["marked"]
    assert set(found["uses"][0]["changes"]) == {"substitution", "removal"}


def test_mistakes_are_one_line_that_names_the_remedy(texts, table, tmp_path, capsys):
    lexicon = tmp_path / "wrong.yaml"
    lexicon.write_text("consent: {given: [yes], refused: [no]}\n")
    for arguments, message in (
        ([str(tmp_path / "nowhere")], "There is no folder"),
        ([str(tmp_path)], "the folder that `salreg run` created"),
        ([str(table), "--positive", "arrested"], "did you mean 'arrested again'"),
        ([str(texts[0]), str(texts[0])], "given twice"),
        ([str(texts[0]), str(table)], "tested on different data"),
        ([str(texts[0]), "--lexicon", str(tmp_path / "wrong.yml")], "did you mean 'wrong.yaml'"),
        ([str(texts[0]), "--lexicon", str(lexicon)], "Quote it"),
    ):
        assert main(["audit", *arguments]) == 2
        told = capsys.readouterr().err
        assert message in told
        assert len(told.strip().splitlines()) == 1


def test_images_are_refused(tmp_path, capsys):
    folder = trained("decoy_digits", tmp_path)
    assert main(["audit", str(folder)]) == 2
    assert "neither texts nor a table" in capsys.readouterr().err


def test_without_a_lexicon_the_marked_words_are_asked_about(tmp_path, monkeypatch):
    folder, read, one = trained("sst_decoy", tmp_path), [], AnnotatedDataset.__getitem__
    monkeypatch.setattr(AnnotatedDataset, "__getitem__", lambda self, index: read.append(index) or one(self, index))
    assert main(["audit", str(folder), "--out", str(tmp_path / "found")]) == 0
    assert read == list(range(800))  # the training data, once
    (found,) = json.loads((tmp_path / "found" / "audit.json").read_text())["audits"].values()
    assert {use["name"] for use in found["uses"]} == {"video", "text"}
    assert any("No text names" in one for one in found["unknown"])


def test_the_seeds_of_a_comparisons_arms_are_told_by_mean_and_deviation(texts, tmp_path, capsys):
    lexicon = tmp_path / "mine.yaml"
    lexicon.write_text("size: {small: [word1], large: [word2]}\n")
    for arm, runs in {"plain": [texts[0], texts[1]], "regularised": [texts[1], texts[1]], "other": [texts[0]]}.items():
        for seed, run in enumerate(runs):
            shutil.copytree(run, tmp_path / "compared" / arm / f"seed_{seed}", ignore=shutil.ignore_patterns("audit"))
    out = tmp_path / "found"
    assert main(["audit", str(tmp_path / "compared"), "--lexicon", str(lexicon), "--out", str(out)]) == 0
    assert "Over trainings (plain → regularised):" in capsys.readouterr().out
    found = json.loads((out / "audit.json").read_text())
    assert {name: len(own) for name, own in found["trainings"].items()} == {"plain": 2, "regularised": 2}
    for one in found["over trainings"]["plain"]:
        if one["of"] == "rate" and one["trainings"] == 2:
            rates = [
                group["rates"][one["how"]]["value"]
                for audit in found["trainings"]["plain"]
                for group in audit["groups"]
                if (group["axis"], group["name"]) == (one["axis"], one["name"])
            ]
            assert one["mean"] == pytest.approx(statistics.fmean(rates))
            assert one["deviation"] == pytest.approx(statistics.stdev(rates))
    assert "2 of plain and 2 of regularised" in (out / "audit.html").read_text()
    assert "### Over trainings" in (out / "model_card.md").read_text()
    shutil.rmtree(tmp_path / "compared" / "plain")
    assert main(["audit", str(tmp_path / "compared")]) == 2
    assert "has the arms other, regularised. Name one or two" in capsys.readouterr().err
    assert main(["audit", str(tmp_path / "compared"), str(texts[0])]) == 2
    assert "is a comparison of other, regularised. Name its arms" in capsys.readouterr().err


def test_a_language_model_is_audited_by_its_answers(tmp_path):
    pytest.importorskip("transformers")
    folder = trained("llm", tmp_path)
    assert main(["audit", str(folder), "--out", str(tmp_path / "found")]) == 0
    (found,) = json.loads((tmp_path / "found" / "audit.json").read_text())["audits"].values()
    assert found["classes"] == ["the review is bad .", "the review is good ."]
    assert {use["name"] for use in found["uses"]} == {"Alice", "Bob"}
    assert set(found["uses"][0]["changes"]) >= {"substitution", "removal"}
    assert "Alice" in found["marked"]


def test_where_answers_are_places_the_error_says_what_to_use_instead(tmp_path, capsys):
    pytest.importorskip("transformers")
    folder = trained("qa", tmp_path)
    assert main(["audit", str(folder)]) == 2
    assert "reliance and the accuracy under intervention in results.json" in capsys.readouterr().err
