"""The dashboard on one's own machine, read back from its store."""

import sqlite3

import pytest
import trackio
from PIL import Image
from support import fit, fresh, loader

from salreg.callbacks import SaliencyMetrics, SaliencySnapshots, TrackioLogger


@pytest.fixture
def project(tmp_path):
    """A name that no other test uses: the store is the process's."""
    return f"p{abs(hash(tmp_path))}"


def train(project: str, **options) -> TrackioLogger:
    logger = TrackioLogger(project, "first", config={"lr": 0.1})
    fit(fresh(), SaliencyMetrics(), SaliencySnapshots(panel=2, sanity=False, **options), val=loader(), logger=logger, epochs=2)
    logger.finish()
    return logger


def logged(project: str) -> dict[int, dict]:
    from trackio.sqlite_storage import SQLiteStorage

    return {entry["step"]: entry for entry in SQLiteStorage.get_logs(project, "first")}


def test_the_terminal_belongs_to_the_training(project, capsys):
    logger = TrackioLogger(project)
    logger.log_metrics({"loss": 1.0}, 0)
    logger.finish()
    assert capsys.readouterr().out == ""


def test_numbers_and_pictures_at_each_snapshots_step(project):
    train(project)
    steps = logged(project)
    shown = {step: entry for step, entry in steps.items() if "panel/reliance" in entry}
    assert sorted(shown) == [0, 3, 6]
    for entry in shown.values():
        assert 0 <= entry["panel/input_gradient/spurious_saliency"] <= 1
        assert {f"salreg/input_gradient/{key}" for key in ("film_strip", "sample_00", "sample_01")} <= set(entry)


def test_the_pictures_are_in_the_store(project):
    train(project)
    files = list(trackio.utils.TRACKIO_DIR.rglob(f"*{project}*/**/*.png"))
    assert len(files) == 3 * 3
    assert [Image.open(file).size for file in files].count((324, 160)) == 3 * 2  # input and map of each sample


def test_an_alert_lands_there(project):
    with pytest.warns(UserWarning, match="rose to"):
        train(project, alerts={"panel/input_gradient/spurious_saliency": 1e-6})
    (database,) = trackio.utils.TRACKIO_DIR.glob(f"{project}.db")
    with sqlite3.connect(database) as connection:
        texts = [row[0] for row in connection.execute("select text from alerts")]
    assert len(texts) == 1
    assert texts[0].startswith("panel/input_gradient/spurious_saliency rose to")


def test_hyperparameters_are_part_of_the_configuration(project):
    logger = TrackioLogger(project, "named", config={"lr": 0.1})
    logger.log_hyperparams({"depth": 3})
    assert (logger.name, logger.version) == (project, "named")
    assert {"lr": 0.1, "depth": 3}.items() <= logger.experiment.config.items()
    logger.finish()
