"""The files in examples/ run, are short, and do what they say: the regularised model relies less on what is marked."""

import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
EPOCHS = {"photos": 5, "text": 5, "table": 4, "plain_loop": 10, "language_model": 4}


def test_there_is_one_for_each_kind_of_user_and_none_is_longer_than_a_screen():
    lengths = {path.stem: len(path.read_text("utf-8").splitlines()) for path in FOLDER.glob("*.py")}
    assert lengths.keys() == EPOCHS.keys()
    assert max(lengths.values()) <= 60


@pytest.mark.parametrize("name", EPOCHS)
def test_an_example_frees_its_model(name, monkeypatch):
    monkeypatch.setenv("PL_TRAINER_ENABLE_PROGRESS_BAR", "False")
    monkeypatch.setenv("PL_TRAINER_CHECK_VAL_EVERY_N_EPOCH", str(EPOCHS[name]))
    if name == "language_model":
        pytest.importorskip("transformers")
    main = runpy.run_path(str(FOLDER / f"{name}.py"))["main"]
    reliance = main(EPOCHS[name], **({"size": 320} if name == "photos" else {}))
    assert reliance["plain"] > 0.2
    assert reliance["regularised"] < reliance["plain"] / 2
