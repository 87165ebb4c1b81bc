"""Two rules, of which the annotation leaves one."""

import json
from pathlib import Path

import pytest
import torch

from salreg.recipes.command.cli import main
from salreg.recipes.experiments.toy_colors import build, corners_equal, draw, top_middle_different
from salreg.recipes.training import config as configuration

SMALL = ["data.samples=400", "trainer.max_epochs=1", "trainer.enable_progress_bar=false", "snapshots.panel=2"]


@pytest.mark.parametrize(("corners", "top"), [(True, True), (True, False), (False, True), (False, False)])
def test_images_keep_the_rules_asked_for(corners, top):
    pixels = draw(torch.tensor([corners] * 50), torch.tensor([top] * 50), torch.Generator().manual_seed(0))
    for image in pixels:
        four = {int(image[r, c]) for r in (0, 4) for c in (0, 4)}
        three = {int(image[0, c]) for c in (1, 2, 3)}
        assert (len(four) == 1) == corners
        assert (len(three) == 3) == top
    assert (corners_equal(pixels) == corners).all()
    assert (top_middle_different(pixels) == top).all()


@pytest.mark.parametrize("marks", ["corners", "top_middle"])
def test_conflicts_are_labelled_by_the_rule_that_is_left(marks):
    experiment = build(configuration.load("toy_colors", [*SMALL, f"data.marks={marks}", "data.batch_size=400"]))
    images, labels, groups = next(iter(experiment.test)).sample
    assert groups.tolist() == [0] * 200 + [1] * 200
    colours = (images * torch.tensor([1.0, 10.0, 100.0]).view(3, 1, 1)).sum(1)
    left = top_middle_different(colours) if marks == "corners" else corners_equal(colours)
    assert (left == labels.bool()).all()
    other = corners_equal(colours) if marks == "corners" else top_middle_different(colours)
    assert ((other == labels.bool()) == (groups == 0)).all()


@pytest.mark.parametrize(("marks", "pixels"), [("corners", 4), ("top_middle", 3), ("both", 7)])
def test_what_is_marked(marks, pixels):
    experiment = build(configuration.load("toy_colors", [*SMALL, f"data.marks={marks}"]))
    assert next(iter(experiment.train)).annotation[0].sum() == -pixels


def test_it_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "toy_colors", *SMALL]) == 0
    (results,) = Path("runs").rglob("results.json")
    assert 0 <= json.loads(results.read_text())["test/worst_group_accuracy"] <= 1
    assert main(["run", "toy_colors", *SMALL, "data.marks=edges"]) == 2
    assert "corners, top_middle, both, not 'edges'" in capsys.readouterr().err
