"""Creates the Trainer's logger from a configuration's ``logger``."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from salreg.callbacks import TrackioLogger
from salreg.names import nearest
from salreg.recipes.training.config import shown
from salreg.recipes.training.packaged import ConfigError

#: The loggers by name, and the library that each needs beside Lightning.
_LOGGERS = {"trackio": "trackio", "csv": None, "tensorboard": "tensorboard", "wandb": "wandb", "none": None}


def logger(config: DictConfig, folder: Path) -> Logger | bool:
    """The Trainer's logger.

    Raises:
        ConfigError: The logger is unknown, its library is missing, or W&B cannot start.
    """
    name = config.logger.name
    check(name)
    if name in (None, "none"):
        return False
    if name == "trackio":
        return TrackioLogger(config.logger.project, name_of(config, folder), _settings(config))
    if name == "csv":
        return CSVLogger(folder, name="logs", version="")
    if name == "tensorboard":
        return TensorBoardLogger(folder, name="logs", version="")
    return _wandb(config, folder)


def check(name: str | None) -> None:
    """Refuse an unknown logger, or one whose library is missing.

    Raises:
        ConfigError: The logger is unknown, or its library is missing.
    """
    if name not in (None, *_LOGGERS):
        raise ConfigError(f"No logger is called {name!r}{nearest(str(name), _LOGGERS)}. There are: {', '.join(_LOGGERS)}.")
    library = _LOGGERS[name or "none"]
    if library is not None and find_spec(library) is None:
        extra = "tensorboard" if name == "tensorboard" else "recipes"
        raise ConfigError(f"logger={name} needs {library}: pip install 'salreg[{extra}]', or choose another: logger=csv.")


def _wandb(config: DictConfig, folder: Path) -> WandbLogger:
    """A logger whose run has begun, so that a missing key or connection is noticed before training."""
    import wandb  # takes a second; only needed here

    logger = WandbLogger(
        project=config.logger.project,
        name=name_of(config, folder),
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
    """The configuration as loggers receive it, without secrets, because others may read it."""
    return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.create(shown(config)), resolve=False))


def name_of(config: DictConfig, folder: Path) -> str:
    """The name of a run: its folder's path relative to ``out``."""
    return os.path.relpath(folder, config.out).replace(os.sep, " ")


def finish(logger: Logger | bool) -> None:
    """End the logger's run; otherwise the next run of this process would be logged as part of it."""
    if isinstance(logger, WandbLogger):
        logger.experiment.finish()
    elif isinstance(logger, TrackioLogger):
        logger.finish()
