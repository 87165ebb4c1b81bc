"""The presets beside the intervention: what is trained, what is skipped, what the table says."""

import json

import pytest

from benchmarks.presets import Cell, cells, changes, main, measure, read, table
from salreg.recipes.training.config import load

ABOUT = {"recipe": "decoy_digits", "overrides": []}


def results(accuracy, saliency=0.1, seconds=10.0):
    return {"test/accuracy": accuracy, "test/spurious_saliency": saliency, "seconds": seconds}


def test_arms_come_first_and_then_every_preset_with_every_weight():
    assert cells(load("decoy_digits"), ["rrr", "cdep"], [1.0, 100.0]) == [
        Cell("plain"), Cell("without decoys"), Cell("regularised"),
        Cell("rrr", 1.0), Cell("rrr", 100.0), Cell("cdep", 1.0), Cell("cdep", 100.0),
    ]  # fmt: skip


def test_a_preset_is_trained_without_intervention():
    config = load("hospital_tag")
    assert changes(config, Cell("plain")) == dict(config.arms.plain)
    found = changes(config, Cell("rrr", 100.0))
    assert found["regularizer.preset"] == "rrr"
    assert found["regularizer.intervene"] is False
    assert found["regularizer.weight"] == 100


def test_what_is_there_is_not_trained_again(tmp_path):
    path, trained = tmp_path / "out.jsonl", []

    def train(cell):
        trained.append(cell)
        if cell.name == "cdep":
            raise KeyboardInterrupt
        return results(0.5)

    wanted = [Cell("plain"), Cell("rrr", 1.0), Cell("cdep", 1.0)]
    with pytest.raises(KeyboardInterrupt):
        measure(path, ABOUT, wanted, train)
    with pytest.raises(KeyboardInterrupt):
        measure(path, ABOUT, wanted, train)
    assert trained == [*wanted, Cell("cdep", 1.0)]
    assert list(read(path, ABOUT)) == wanted[:2]


def test_trainings_on_other_data_do_not_count(tmp_path):
    path = tmp_path / "out.jsonl"
    measure(path, {**ABOUT, "overrides": ["model=cnn"]}, [Cell("plain")], lambda cell: results(0.5))
    assert read(path, ABOUT) == {}
    measure(path, ABOUT, [Cell("plain")], lambda cell: results(0.6))
    assert read(path, ABOUT) == {Cell("plain"): results(0.6)}
    assert len(path.read_text().splitlines()) == 2


def test_the_table_shows_the_best_weight_and_what_it_wins_back():
    text = table(
        {
            Cell("plain"): results(0.2, 0.4),
            Cell("without decoys"): results(0.7, 0.05),
            Cell("regularised"): results(0.6, 0.02, seconds=11.0),
            Cell("rrr", 1.0): results(0.3),
            Cell("rrr", 100.0): results(0.45, 0.12, seconds=25.0),
            Cell("hint", 1.0): {"error": "It reads relevant marks."},
        }
    )
    rows = {line[:28].strip(): line[28:].split() for line in text.splitlines()[1:-1]}
    assert list(rows) == ["without decoys", "regularised", "rrr", "plain"]
    assert rows["rrr"] == ["100", "0.450", "50%", "0.120", "2.50x"]
    assert rows["regularised"] == ["0.600", "80%", "0.020", "1.10x"]
    assert text.splitlines()[-1] == "hint: not possible: It reads relevant marks."


def test_without_a_reference_there_is_no_gap():
    text = table({Cell("plain"): results(0.2), Cell("rrr", 1.0): results(0.3)})
    assert [line.split()[-3] for line in text.splitlines()[1:]] == ["-", "-"]


def test_an_unknown_preset_is_named(capsys):
    with pytest.raises(SystemExit):
        main(["--recipe", "decoy_digits", "--presets", "rr"])
    assert "did you mean 'rrr'" in capsys.readouterr().err


def test_lines_are_json_with_everything_that_tells_them_apart(tmp_path):
    measure(tmp_path / "out.jsonl", ABOUT, [Cell("rrr", 1.0)], lambda cell: results(0.5))
    line = json.loads((tmp_path / "out.jsonl").read_text())
    assert line == {"recipe": "decoy_digits", "overrides": [], "name": "rrr", "weight": 1.0, "results": results(0.5)}
