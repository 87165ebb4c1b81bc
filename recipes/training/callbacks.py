"""Creates the Trainer's callbacks from a configuration's ``regularizer``, ``intervention``, ``metrics`` and ``snapshots``.

Each group is passed to the constructor of its name, which refuses unknown arguments and invalid values.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint

from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer, SaliencySnapshots
from salreg.interventions import Intervention
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.training.packaged import ConfigError
from salreg.taps import check_layers

_Made = TypeVar("_Made")


def callbacks(config: DictConfig, folder: Path, experiment: Experiment | None = None) -> list[pl.Callback]:
    """The callbacks that a configuration adds to the Trainer, for an experiment if there is one already.

    Raises:
        ConfigError: A callback refuses a setting.
    """
    rationale, own = (False, {}) if experiment is None else (experiment.rationale, experiment.intervention)
    return [
        _made("regularizer", SaliencyRegularizer, _of_regularizer(config, own)),
        _made("metrics", SaliencyMetrics, {**_container(config.metrics), "rationale": rationale}),
        _made("snapshots", SaliencySnapshots, {**_container(config.snapshots), "dir": folder}),
        ModelCheckpoint(folder / "checkpoints", save_last=True),
    ]


def _made(group: str, kind: Callable[..., _Made], given: Mapping[str, Any]) -> _Made:
    """Pass a group's keys on; an error names the group."""
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{group}: {error}") from error


def _of_regularizer(config: DictConfig, own: Mapping[str, Any]) -> dict[str, Any]:
    """The regularizer's arguments; a preset replaces the recipe's own attribution and loss."""
    given = _container(config.regularizer)
    if given.get("preset") is not None:
        given = {key: value for key, value in given.items() if key not in ("attribution", "loss")}
    return {**given, "intervene": intervention(config, own) or False}


def intervenes(config: DictConfig) -> bool:
    """Whether to intervene in training batches: as ``regularizer.intervene`` says; by default, if there is no preset."""
    wanted = config.regularizer.intervene
    if wanted is None:
        return config.regularizer.get("preset") is None
    if not isinstance(wanted, bool):
        raise ConfigError(f"regularizer: intervene must be true, false or null, not {wanted!r}.")
    return wanted


def intervention(config: DictConfig, own: Mapping[str, Any] = MappingProxyType({})) -> Intervention | None:
    """The intervention in the training batches; ``own`` are arguments of the recipe, unless the configuration gives them.

    Raises:
        ConfigError: The intervention refuses a setting.
    """
    given = {**own, **_container(config.intervention)}
    return _made("intervention", Intervention, given) if intervenes(config) else None


def check_layers_of(added: Iterable[pl.Callback], module: pl.LightningModule) -> None:
    """Refuse layers that the module does not have, before training.

    Raises:
        ValueError: The module has no such layer.
    """
    for one in added:
        if isinstance(one, SaliencyRegularizer):
            check_layers(module, one.penalty.layers)
        elif isinstance(one, SaliencyMetrics):
            check_layers(module, one.attribution.layers)


def _container(group: DictConfig) -> dict[str, Any]:
    """Arguments as plain lists and dictionaries."""
    return cast(dict[str, Any], OmegaConf.to_container(group, resolve=True))
