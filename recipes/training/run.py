"""One training from a configuration, in a folder of its own."""

import importlib
import inspect
import json
import os
import subprocess
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

import salreg
from salreg import attributions, presets
from salreg.attributions import Attribution
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer, SaliencySnapshots, TrackioLogger
from salreg.callbacks.atomic_write import atomic_write
from salreg.callbacks.choice import usual_weight
from salreg.interventions import Intervention
from salreg.names import nearest
from salreg.penalties import Penalty, SaliencyPenalty
from salreg.recipes.data.paths import nearest_path
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.training.config import shown
from salreg.recipes.training.packaged import ConfigError
from salreg.recipes.training.page import write_run_page
from salreg.recipes.training.progress import PassingBar
from salreg.taps import check_layers

#: The loggers by name, and the library that each needs beside Lightning.
_LOGGERS = {"trackio": "trackio", "csv": None, "tensorboard": "tensorboard", "wandb": "wandb", "none": None}
_PACKAGES = ("salreg", "torch", "pytorch-lightning", "torchmetrics")


def run(config: DictConfig, folder: Path, experiment: Experiment | None = None) -> dict[str, Any]:
    """Train, test and write everything below ``folder``; ``experiment`` is what ``seeded`` built, if that was done before.

    Writes ``config.yaml`` (interpolations unresolved), ``results.json``, ``report.html``, ``checkpoints/``, ``snapshots/`` and
    the logger's files.

    Returns:
        What ``results.json`` holds: the ``test/...`` metrics, ``seconds`` of training, ``versions`` and ``git_commit``.
    """
    experiment = experiment or seeded(config)
    try:
        _check_layers(config, experiment.module)
        added, logger = callbacks(config, folder, experiment.rationale), _logger(config, folder)
        trainer = _trainer(config, folder, logger, added)
    except ValueError as error:  # a name or number that some part refused
        raise ConfigError(str(error)) from error
    _write(folder / "config.yaml", OmegaConf.to_yaml(config))
    try:
        return _train_and_test(config, experiment, folder, trainer)
    finally:
        _finish(logger)


def seeded(config: DictConfig) -> Experiment:
    """Seed everything, and build data and module.

    Raises:
        ConfigError: A name or number that the recipe refuses.
        FileNotFoundError: Its data are missing.
    """
    pl.seed_everything(config.seed, workers=True, verbose=False)
    try:
        return build(config)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def check_settings(config: DictConfig) -> None:
    """Refuse what can be told to be wrong without the data, before anything is read, trained or written.

    Raises:
        ConfigError: A setting that some part refuses, that lacks a library, or that would be without effect.
    """
    callbacks(config, Path(config.out))
    _check_logger(config.logger.name)
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
        write_run_page(folder, results, _run_name(config, folder), config.shown)
    return results


def build(config: DictConfig) -> Experiment:
    """Data and module of the recipe that the configuration names."""
    experiment = importlib.import_module(f"salreg.recipes.experiments.{config.recipe}").build(config)
    assert isinstance(experiment, Experiment)
    return experiment


def attribution(saliency: DictConfig) -> Attribution:
    """The attribution that a configuration's ``saliency`` describes.

    Raises:
        ConfigError: An unknown attribution, or a layer for one that takes none.
    """
    try:
        made = attributions.resolve(saliency.attribution)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"saliency.attribution: {error}") from error
    takes = inspect.signature(type(made)).parameters
    wanted = {name: value for name, value in (("layer", saliency.layer), ("score", saliency.score)) if value is not None}
    if "layer" in wanted and "layer" not in takes:
        raise ConfigError(f"saliency.attribution={saliency.attribution} is read at the input; it takes no saliency.layer.")
    return type(made)(**{name: value for name, value in wanted.items() if name in takes})


def penalty(config: DictConfig) -> Penalty:
    """The penalty of a configuration: its ``preset``, or else what ``saliency`` composes.

    Raises:
        ConfigError: An unknown name or option.
    """
    try:
        if config.preset.name is None:
            return SaliencyPenalty(attribution(config.saliency), config.saliency.loss)
        return presets.resolve({key: value for key, value in config.preset.items() if value is not None})
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from error


def intervention(config: DictConfig) -> Intervention | None:
    """What happens to the training batches: by default something unless there is a preset.

    Raises:
        ConfigError: An unknown fill, or a presence that is no probability.
    """
    saliency = config.saliency
    wanted = saliency.intervene
    if wanted not in (None, True, False):
        raise ConfigError(f"saliency.intervene is true, false or null, not {wanted!r}.")
    if not (config.preset.name is None if wanted is None else wanted):
        return None
    try:
        return Intervention(saliency.presence, saliency.fill, seed=config.seed)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"saliency: {error}") from error


def weight(config: DictConfig) -> float:
    """The penalty's weight: by default that of ``SaliencyRegularizer`` with the same settings."""
    saliency = config.saliency
    if saliency.weight is not None:
        return saliency.weight
    of_penalty = (
        saliency.attribution, saliency.loss, saliency.every_n_steps, saliency.warmup_steps, saliency.differentiation,
        saliency.max_rows, saliency.compile,
    )  # fmt: skip
    return usual_weight(penalty(config), config.preset.name is not None, of_penalty, intervention(config) is not None)


def _check_layers(config: DictConfig, module: pl.LightningModule) -> None:
    """Refuse layers that the module does not have before anything is trained."""
    check_layers(module, [*penalty(config).layers, *attribution(config.saliency).layers])


def callbacks(config: DictConfig, folder: Path, rationale: bool = False) -> list[pl.Callback]:
    """What a configuration adds to the Trainer.

    Raises:
        ConfigError: A setting that one of them refuses.
    """
    try:
        return _made(config, folder, rationale)
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from error


def _made(config: DictConfig, folder: Path, rationale: bool) -> list[pl.Callback]:
    regularizer = SaliencyRegularizer(
        preset=penalty(config),
        intervene=intervention(config) or False,
        weight=weight(config),
        every_n_steps=config.saliency.every_n_steps,
        warmup_steps=config.saliency.warmup_steps,
        differentiation=config.saliency.differentiation,
        max_rows=config.saliency.max_rows,
        compile=config.saliency.compile,
    )
    return [
        regularizer,
        SaliencyMetrics(attribution(config.saliency), rationale=rationale, **_container(config.metrics)),
        SaliencySnapshots(**_container(config.snapshots), dir=folder),
        ModelCheckpoint(folder / "checkpoints", save_last=True),
    ]


def _container(group: DictConfig) -> dict[str, Any]:
    """Arguments as plain lists and dictionaries."""
    return cast(dict[str, Any], OmegaConf.to_container(group, resolve=True))


def _logger(config: DictConfig, folder: Path) -> Logger | bool:
    name = config.logger.name
    _check_logger(name)
    if name in (None, "none"):
        return False
    if name == "trackio":
        return TrackioLogger(config.logger.project, _run_name(config, folder), _settings(config))
    if name == "csv":
        return CSVLogger(folder, name="logs", version="")
    if name == "tensorboard":
        return TensorBoardLogger(folder, name="logs", version="")
    return _wandb(config, folder)


def _check_logger(name: str | None) -> None:
    """Refuse an unknown logger, or one whose library is missing."""
    if name not in (None, *_LOGGERS):
        raise ConfigError(f"No logger is called {name!r}{nearest(str(name), _LOGGERS)}. There are: {', '.join(_LOGGERS)}.")
    library = _LOGGERS[name or "none"]
    if library is not None and find_spec(library) is None:
        extra = "tensorboard" if name == "tensorboard" else "recipes"
        raise ConfigError(f"logger={name} needs {library}: pip install 'salreg[{extra}]', or choose another: logger=csv.")


def _wandb(config: DictConfig, folder: Path) -> WandbLogger:
    """A logger whose run has begun, so that a missing key or network is found out before the training."""
    import wandb  # a second, for who logs there only

    logger = WandbLogger(
        project=config.logger.project,
        name=_run_name(config, folder),
        save_dir=folder.resolve(),  # W&B's service keeps the working directory it was started in
        offline=config.logger.offline,
        config=_settings(config),
    )
    try:
        _ = logger.experiment
    except wandb.errors.Error as error:
        raise ConfigError(f"W&B cannot start: {error} Run `wandb login` first, or add logger.offline=true.") from error
    return logger


def _settings(config: DictConfig) -> dict[str, Any]:
    """What loggers, which others may read, are told of the configuration."""
    return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.create(shown(config)), resolve=False))


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, "utf-8")


def _run_name(config: DictConfig, folder: Path) -> str:
    """What a run is called beside others: its folder's path below ``out``."""
    return os.path.relpath(folder, config.out).replace(os.sep, " ")


def _finish(logger: Logger | bool) -> None:
    """End what was begun, or the next run of this process would be logged as part of this one."""
    if isinstance(logger, WandbLogger):
        logger.experiment.finish()
    elif isinstance(logger, TrackioLogger):
        logger.finish()


def _git_commit() -> str | None:
    """The commit of salreg's source, where it runs from a checkout."""
    try:
        command = ["git", "-C", str(Path(salreg.__file__).parent), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None
