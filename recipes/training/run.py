"""Trains one configuration in its own folder."""

import importlib
import json
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

import salreg
from salreg.callbacks.atomic_write import atomic_write
from salreg.recipes.data.paths import nearest_path
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.training import loggers
from salreg.recipes.training.callbacks import callbacks, check_layers_of
from salreg.recipes.training.packaged import ConfigError
from salreg.recipes.training.page import write_run_page
from salreg.recipes.training.progress import PassingBar

_PACKAGES = ("salreg", "torch", "pytorch-lightning", "torchmetrics")


def run(config: DictConfig, folder: Path, experiment: Experiment | None = None) -> dict[str, Any]:
    """Train, test and write everything below ``folder``; ``experiment`` is the result of ``seeded``, if it was called before.

    Writes ``config.yaml`` (interpolations unresolved), ``results.json``, ``report.html``, ``checkpoints/``, ``snapshots/`` and
    the logger's files.

    Returns:
        The contents of ``results.json``: the ``test/...`` metrics, ``seconds`` of training, ``versions`` and ``git_commit``.
    """
    experiment = experiment or seeded(config)
    try:
        added = callbacks(config, folder, experiment)
        check_layers_of(added, experiment.module)
        logger = loggers.logger(config, folder)
        trainer = _trainer(config, folder, logger, added)
    except ValueError as error:  # some part refused a name or number
        raise ConfigError(str(error)) from error
    _write(folder / "config.yaml", OmegaConf.to_yaml(config))
    try:
        return _train_and_test(config, experiment, folder, trainer)
    finally:
        loggers.finish(logger)


def seeded(config: DictConfig) -> Experiment:
    """Seed everything, and build the data and the module.

    Raises:
        ConfigError: The recipe refuses a name or number.
        FileNotFoundError: The recipe's data are missing.
    """
    pl.seed_everything(config.seed, workers=True, verbose=False)
    try:
        return build(config)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def check_settings(config: DictConfig) -> None:
    """Refuse settings that are wrong whatever the data, before anything is read, trained or written.

    Raises:
        ConfigError: Some part refuses a setting, or a setting lacks a library or has no effect.
    """
    callbacks(config, Path(config.out))
    loggers.check(config.logger.name)
    try:
        _trainer(config, Path(config.out), logger=False, added=[])
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if config.resume and "/" in str(config.resume) and not Path(config.resume).is_file():
        raise ConfigError(f"resume: there is no checkpoint {str(config.resume)!r}{nearest_path(Path(config.resume))}.")


def _trainer(config: DictConfig, folder: Path, logger: Logger | bool, added: list[pl.Callback]) -> pl.Trainer:
    bars = [PassingBar()] if config.trainer.get("enable_progress_bar", True) else []
    try:
        return pl.Trainer(**config.trainer, default_root_dir=folder, logger=logger, callbacks=[*added, *bars])
    except (TypeError, ValueError, MisconfigurationException) as error:
        raise ConfigError(f"trainer: {error}") from error


def _train_and_test(config: DictConfig, experiment: Experiment, folder: Path, trainer: pl.Trainer) -> dict[str, Any]:
    started = time.monotonic()
    trainer.fit(experiment.module, experiment.train, experiment.validation, ckpt_path=config.resume)
    seconds = time.monotonic() - started
    tested = trainer.test(experiment.module, experiment.test, verbose=False)[0]
    results = {
        **{name: float(value) for name, value in tested.items()},
        "seconds": round(seconds, 2),
        "versions": {package: version(package) for package in _PACKAGES},
        "git_commit": _git_commit(),
    }
    _write(folder / "results.json", json.dumps(results, indent=2) + "\n")
    if trainer.is_global_zero:
        write_run_page(folder, results, loggers.name_of(config, folder), config.shown)
    return results


def build(config: DictConfig) -> Experiment:
    """Build the data and module of the recipe that the configuration names."""
    experiment = importlib.import_module(f"salreg.recipes.experiments.{config.recipe}").build(config)
    assert isinstance(experiment, Experiment)
    return experiment


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, "utf-8")


def _git_commit() -> str | None:
    """The commit of salreg's source, if it runs from a checkout."""
    try:
        command = ["git", "-C", str(Path(salreg.__file__).parent), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None
