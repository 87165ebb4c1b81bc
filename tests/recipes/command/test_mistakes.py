"""A mistake costs one line that names it, and leaves no folder behind."""

import importlib.util
from pathlib import Path

import pytest

from salreg.recipes.command import trainings
from salreg.recipes.command.cli import main
from salreg.recipes.training import loggers


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["run", "decoy_digits", "regularizer.weight=abc"],
            "weight must be a finite number of at least 0, or None",
        ),
        (["compare", "decoy_digits", "regularizer.weight=abc"], "weight must be a finite number"),
        (["compare", "decoy_digits", "regularizer.loss=rr", "--arms", "plain"], "did you mean 'rrr'"),
        (["run", "decoy_digits", "model=vgg"], "not 'vgg'"),
        (["run", "decoy_digits", "data.marks=all"], "data.marks must be spurious"),
        (["run", "decoy_digits", "optimizer.schedule=cos"], "optimizer.schedule must be constant or cosine"),
        (["run", "decoy_digits", "trainer.accelerator=abc"], "invalid accelerator name"),
        (["run", "decoy_digits", "resume=runs/x.ckpt"], "resume: there is no checkpoint 'runs/x.ckpt'"),
        (["run", "mine.yml"], "and there is no such file (did you mean 'mine.yaml'?)"),
        (["run", "./decoy"], "No recipe is called './decoy', and there is no such file"),
        (["run", "movies", "data.root=file"], "file/train.jsonl is not there"),
        (["run", "movies", "data.root=phot"], "phot/train.jsonl is not there (did you mean 'photos'?)"),
        (["watch", "phot"], "There is no folder phot (did you mean 'photos'?)"),
        (["annotations", "check", "masks", "--data", "photo"], "There is no folder 'photo' of images (did you mean 'photos'?)"),
        (["annotations", "check", "masks", "--data", "photos"], "There is no image below 'photos'"),
        (["cp", "decoy_digits", "no/mine.yaml"], "There is no folder no to copy to"),
        (["run", "decoy_digits", "out=file"], "out: the folder file"),
        (["run", "decoy_digits", "out=file/below"], "out: the folder file/below"),
    ],
)
def test_a_mistake_costs_one_line_and_no_folder(arguments, message, capsys):
    Path("file").touch()
    Path("photos").mkdir()
    Path("mine.yaml").touch()
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert {path.name for path in Path().iterdir()} == {"file", "photos", "mine.yaml"}


def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch, capsys):
    monkeypatch.setattr(loggers, "find_spec", lambda name: None if name == "trackio" else importlib.util.find_spec(name))
    assert main(["run", "decoy_digits"]) == 2
    assert "logger=trackio needs trackio: pip install 'salreg[recipes]'" in capsys.readouterr().err

    def missing(config):
        raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn")

    monkeypatch.setattr(trainings, "seeded", missing)
    assert main(["run", "decoy_digits", "logger=none"]) == 2
    assert capsys.readouterr().err == "salreg: sklearn is not installed: pip install 'salreg[recipes]'.\n"


def test_a_folder_that_cannot_be_written_to_is_named(monkeypatch, capsys):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "runs")

    monkeypatch.setattr("salreg.recipes.training.run_folder.Path.mkdir", refuse)
    assert main(["run", "decoy_digits"]) == 2
    assert "cannot be created (Permission denied). Choose another: out=..." in capsys.readouterr().err


def test_a_verb_that_is_not_there_is_answered_with_the_nearest(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["rnu"])
    assert "there is no verb 'rnu' (did you mean 'run'?)" in capsys.readouterr().err


def test_a_setting_may_be_left_away(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["run", "--help"])
    assert "recipe [key=value ...]" in capsys.readouterr().out
