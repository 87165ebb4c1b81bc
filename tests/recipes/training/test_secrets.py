"""What a configuration takes from the environment stays there."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from salreg.recipes.command.cli import main
from salreg.recipes.training.config import ConfigError, load
from salreg.recipes.training.loggers import _settings

FAST = ["trainer.max_epochs=1", "trainer.enable_progress_bar=false", "trainer.limit_train_batches=2", "snapshots.panel=1"]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("MY_PROJECT", "hush")


def test_validate_prints_interpolations_unresolved(capsys):
    assert main(["validate", "decoy_digits", "logger.project=${oc.env:MY_PROJECT}"]) == 0
    printed = capsys.readouterr().out
    assert "project: ${oc.env:MY_PROJECT}" in printed
    assert "hush" not in printed


def test_nor_does_a_run_write_them_anywhere():
    assert (
        main(["run", "decoy_digits", *FAST, "snapshots.sanity=false", "logger=none", "logger.project=${oc.env:MY_PROJECT}"])
        == 0
    )
    files = [path for path in Path("runs").rglob("*") if path.is_file()]
    assert {"config.yaml", "report.html", "history.pt"} <= {path.name for path in files}
    assert not [path for path in files if b"hush" in path.read_bytes()]
    assert "${oc.env:MY_PROJECT}" in torch.load(next(Path("runs").rglob("history.pt")), weights_only=True)["config"]


def test_nor_are_loggers_told():
    config = load("decoy_digits", ["logger.project=${oc.env:MY_PROJECT}"])
    assert config.logger.project == "hush"
    assert _settings(config)["logger"]["project"] == "${oc.env:MY_PROJECT}"
    assert _settings(OmegaConf.create({"api_key": "hush"})) == {"api_key": "***"}


def test_a_variable_that_is_not_set_is_named(capsys):
    with pytest.raises(ConfigError, match="logger.project: .*NOT_THERE"):
        load("decoy_digits", ["logger.project=${oc.env:NOT_THERE}"])
