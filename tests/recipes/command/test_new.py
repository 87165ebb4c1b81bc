"""``salreg new`` writes a folder whose script trains as it stands."""

import csv
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from salreg.recipes.command import made_tags
from salreg.recipes.command.cli import main


@pytest.fixture
def project(monkeypatch, capsys):
    """A new project, whose files are imported from there and from nowhere else."""
    assert main(["new", "mine"]) == 0
    assert "cd mine && python train.py --plain" in capsys.readouterr().out
    monkeypatch.syspath_prepend("mine")
    yield Path("mine")
    for name in ("data", "module"):
        sys.modules.pop(name, None)


def test_the_script_that_it_writes_trains_a_model_without_the_shortcut_if_all_photos_are_looked_at(
    project, monkeypatch, capsys
):
    monkeypatch.setattr(made_tags, "SPLITS", [split._replace(looked_at=1.0) for split in made_tags.SPLITS])
    made_tags.write(project)
    settings = yaml.safe_load((project / "settings.yaml").read_text())
    settings["trainer"] |= {"max_epochs": 8, "enable_progress_bar": False}
    settings["snapshots"] = {"panel": 2, "every_n_epochs": 8, "sanity": False}
    (project / "quick.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setattr(sys, "argv", ["train.py", "--settings", str(project / "quick.yaml")])
    runpy.run_path(str(project / "train.py"), run_name="__main__")
    written = project / "runs" / "regularised" / "version_0"
    assert f"Report, for a browser: {written.resolve() / 'report.html'}" in capsys.readouterr().out
    assert (written / "report.html").is_file()
    with (written / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    tested = next(row for row in rows if row.get("test/accuracy"))
    assert float(tested["test/accuracy"]) > 0.9  # trained plainly, it is 0
    assert float(tested["test/accuracy_under_intervention"]) > 0.9
    assert [row for row in rows if row.get("val/reliance")]


def test_its_validation_and_test_images_were_all_looked_at_and_a_twentieth_of_those_for_training(project):
    data = runpy.run_path(str(project / "data.py"))
    looked_at = {}
    for split in ("train", "validation", "test"):
        annotated = data["annotated"](split)
        looked_at[split] = sum(annotated[index].looked_at for index in range(len(annotated))) / len(annotated)
    assert looked_at == {"train": 0.05, "validation": 1, "test": 1}
    marked = [Image.open(path) for path in sorted(project.glob("marks/train/square/*.png"))]
    assert {value for mask in marked for value in np.unique(np.array(mask))} == {0, 255}


def test_nothing_is_overwritten_and_a_missing_parent_is_named(capsys):
    Path("mine").mkdir()
    assert main(["new", "mine"]) == 2
    assert "mine exists already; nothing was written" in capsys.readouterr().err
    assert not list(Path("mine").iterdir())
    assert main(["new", "mime/project"]) == 2
    assert "There is no folder mime to write to (did you mean 'mine'?)" in capsys.readouterr().err


def test_its_readme_has_ten_lines(project):
    assert len((project / "README.md").read_text().splitlines()) == 10
