"""Loads a finished run: its configuration, its data, and its module with the final weights."""

from pathlib import Path
from typing import NamedTuple, cast

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from salreg.recipes.data.paths import nearest_path
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.training.packaged import ConfigError
from salreg.recipes.training.run import seeded


class FinishedRun(NamedTuple):
    """A finished run whose model can be used again.

    Attributes:
        folder: The run's folder.
        config: The configuration that it was trained with.
        experiment: The run's data, and its module in eval mode.
    """

    folder: Path
    config: DictConfig
    experiment: Experiment


def load(folder: Path) -> FinishedRun:
    """Rebuild a run's data, and load the weights of ``checkpoints/last.ckpt`` into its module.

    Raises:
        FileNotFoundError: There is no such folder, or the configuration, the checkpoint or the data are missing.
        ConfigError: The checkpoint does not fit the configuration.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}{nearest_path(folder)}.")
    settings, checkpoint = folder / "config.yaml", folder / "checkpoints" / "last.ckpt"
    for path in (settings, checkpoint):
        if not path.is_file():
            raise FileNotFoundError(f"There is no {path}: give the folder that `salreg run` created, after its training.")
    config = cast(DictConfig, OmegaConf.load(settings))
    if "recipe" not in config:
        raise ConfigError(f"{settings} names no recipe, so it does not belong to a run.")
    if config.get("model", {}).get("pretrained"):
        config.model.pretrained = False  # the weights come from the checkpoint
    if config.data.get("carry_over"):
        config.data.carry_over = False  # an audit needs no new marks of the training data
    experiment = seeded(config)
    load_weights(experiment.module, checkpoint, settings)
    experiment.module.eval()
    return FinishedRun(folder, config, experiment)


def load_weights(module: nn.Module, checkpoint: Path, settings: Path) -> None:
    """Load a checkpoint's weights.

    Args:
        module: The module that ``settings`` describes.
        checkpoint: A file that Lightning wrote.
        settings: The configuration file, for the error.

    Raises:
        ConfigError: The file is no checkpoint, is cut off, or does not fit the module.
    """
    try:
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever unpickling raises of a damaged file
        raise ConfigError(
            f"{checkpoint} cannot be read, so it is damaged or no checkpoint: {error or type(error).__name__}"
        ) from error
    if not isinstance(saved, dict) or "state_dict" not in saved:
        raise ConfigError(f"{checkpoint} is no checkpoint of a run: it has no weights (state_dict).")
    try:
        module.load_state_dict(saved["state_dict"])
    except RuntimeError as error:
        raise ConfigError(f"{checkpoint} does not fit the model that {settings} describes: {error}") from error
