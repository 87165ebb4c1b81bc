"""From a folder of photos and marks on twelve of them to a model that does not read the tag: the tutorial's own commands."""

import csv
from functools import partial
from pathlib import Path

import pytest
import yaml
from docs.reader import blocks, command

from salreg.propagation import propagate

PAGE = "tutorials/first-shortcut.md"
#: Of the trainings plainly, with the given marks, and with those that were carried over.
EPOCHS = iter((4, 2, 9))


@pytest.fixture
def quick(monkeypatch):
    """A carrying over of fewer steps, which is enough for a tag that looks always alike."""
    fewer = partial(propagate, steps=20, progress=False)
    monkeypatch.setattr("salreg.recipes.command.annotations_propagate.propagate", fewer)


def shorten_the_training():
    settings = yaml.safe_load(Path("settings.yaml").read_text())
    settings["trainer"] |= {"max_epochs": next(EPOCHS), "enable_progress_bar": False, "check_val_every_n_epoch": 9}
    settings["snapshots"] = {"panel": 2, "every_n_epochs": 100, "probes": ["grad_cam"], "sanity": False}
    Path("settings.yaml").write_text(yaml.safe_dump(settings))


def measured(arm, number):
    with Path(f"runs/{arm}/version_{number}/metrics.csv").open(newline="") as file:
        row = next(row for row in csv.DictReader(file) if row.get("test/accuracy"))
    return float(row["test/accuracy"]), float(row["test/accuracy_under_intervention"]), float(row["test/reliance"])


@pytest.mark.usefixtures("quick")
def test_the_tutorials_commands_lead_to_a_model_that_does_not_read_the_tag():
    for block in blocks(PAGE):
        assert block.language == "bash"
        for line in block.code.splitlines():
            if line.startswith("python"):
                shorten_the_training()
            command(line)
    accuracy, under_intervention, reliance = measured("plain", 0)
    assert accuracy < 0.1
    assert under_intervention < 0.6
    assert reliance > 0.9
    accuracy, under_intervention, reliance = measured("regularised", 1)
    assert accuracy > 0.9
    assert under_intervention > 0.9
    assert reliance < 0.1
    assert Path("runs/regularised/version_1/report.html").is_file()
    assert Path("look_next.png").is_file()
