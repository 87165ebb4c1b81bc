"""Configurations: one commented YAML per recipe, and overrides from the command line.

The YAML of a recipe is its schema: a key that is not in it is refused, with the nearest names.
"""

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from salreg import checks
from salreg.callbacks import SaliencyMetrics, SaliencySnapshots
from salreg.callbacks.masked import masked
from salreg.names import nearest
from salreg.recipes.training.packaged import ConfigError, describe, locate, recipes

__all__ = ["ConfigError", "assign", "check", "check_values", "describe", "keys", "load", "locate", "recipes", "shown"]
_OF_TRAINER = ("trainer.max_epochs", "trainer.min_epochs", "trainer.max_steps", "trainer.min_steps")
#: What a group's keys are passed to, whose signature says which there are; and which of them the recipe gives itself.
_PASSED_TO: dict[str, tuple[type, set[str]]] = {
    "trainer": (pl.Trainer, {"callbacks", "default_root_dir", "logger"}),
    "metrics": (SaliencyMetrics, {"attribution", "rationale"}),
    "snapshots": (SaliencySnapshots, {"dir"}),
}
_NAMED_BY_USERS = ("data.categories", "data.columns")  # groups of which the keys are theirs


def load(recipe: str, overrides: Iterable[str] = ()) -> DictConfig:
    """A recipe's configuration with overrides ``key=value`` applied.

    ``group=value`` sets the ``name`` of a group that has one, so that ``model=cnn`` is ``model.name=cnn``.

    Raises:
        ConfigError: An unknown recipe or key, or a value that YAML cannot read.
    """
    path = locate(recipe)
    try:
        config = cast(DictConfig, OmegaConf.load(path))
    except Exception as error:
        raise ConfigError(f"{path} is not readable as YAML: {error}") from error
    if not isinstance(config, DictConfig):
        raise ConfigError(f"{path} holds no configuration.")
    if path not in recipes().values():
        check(config, like=_original(config, path), where=str(path))
    config.setdefault("metrics", {})  # copies of earlier YAMLs have none
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"{override!r} is not of the form key=value.")
        try:
            value = OmegaConf.to_container(OmegaConf.create(f"value: {text}"), resolve=False)["value"]  # type: ignore[index, call-overload]
        except Exception as error:
            raise ConfigError(f"The value of {key} cannot be read: {text!r}. Quote it as YAML wants it.") from error
        assign(config, key, value)
    check_values(config, path)
    check_effect(config, like=_original(config, path))
    return config


def check_effect(config: DictConfig, like: DictConfig) -> None:
    """Refuse settings, others than those of the packaged recipe ``like``, that would change nothing beside the others.

    Raises:
        ConfigError: Such a setting; says what it would need.
    """
    preset, saliency = config.preset.name, config.saliency
    if preset is not None and saliency.loss != like.saliency.loss:
        raise ConfigError(
            f"saliency.loss={saliency.loss} has no effect beside preset={preset}, which has a loss of its own. Leave one away."
        )
    options = [key for key, value in config.preset.items() if key != "name" and value is not None]
    if preset is None and options:
        raise ConfigError(f"preset.{options[0]} has no effect without a preset. Name one: preset=NAME.")
    intervenes = preset is None if saliency.intervene is None else saliency.intervene
    changed = [key for key in ("presence", "fill") if saliency[key] != like.saliency[key]]
    if not intervenes and changed:
        raise ConfigError(f"saliency.{changed[0]} has no effect without an intervention. Add saliency.intervene=true.")
    if config.logger.offline and config.logger.name != "wandb":
        raise ConfigError(f"logger.offline has no effect with logger={config.logger.name}: it is W&B's. Add logger=wandb.")


def check_values(config: DictConfig, path: Path | None = None) -> None:
    """Refuse values of another kind than the recipe's own: texts for numbers, words for yes or no, less than nothing.

    Raises:
        ConfigError: Such a value, or an interpolation that leads nowhere.
    """
    try:
        values = _flat(cast(dict[str, Any], OmegaConf.to_container(config, resolve=True)))
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    own = _flat(cast(dict[str, Any], OmegaConf.to_container(_original(config, path or Path("arms")))))
    for key, value in values.items():
        try:
            _check_value(key, value, own.get(key))
        except (TypeError, ValueError) as error:
            raise ConfigError(str(error)) from error


def _check_value(key: str, value: Any, own: Any) -> None:
    if key in _OF_TRAINER:
        checks.whole(-1, or_none=True, **{key: value})
    elif key.startswith("trainer.") or (key.startswith("saliency.") and value is None):
        return
    elif isinstance(own, bool):
        checks.flag(**{key: value})
    elif isinstance(own, int):
        checks.whole(0, **{key: value})
    elif isinstance(own, float):
        checks.number(**{key: value})
    elif isinstance(own, list):
        checks.several("values", **{key: value})


def _flat(tree: Mapping[str, Any]) -> dict[str, Any]:
    """All values but those of the arms, by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value and key != "arms":
            found |= {f"{key}.{inner}": one for inner, one in _flat(value).items()}
        else:
            found[str(key)] = value
    return found


def shown(config: DictConfig) -> str:
    """A configuration as everybody may see it: interpolations unresolved, what looks like a secret masked.

    Example:
        >>> print(shown(OmegaConf.create({"root": "${oc.env:HOME}", "api_key": "abc"})), end="")
        root: ${oc.env:HOME}
        api_key: '***'
    """
    return masked(OmegaConf.to_yaml(config))


def assign(config: DictConfig, key: str, value: Any) -> None:
    """Set an existing key; a ``ConfigError`` suggests the nearest ones."""
    if key in _NAMED_BY_USERS and isinstance(value, Mapping) and OmegaConf.select(config, key) is not None:
        OmegaConf.update(config, key, {str(name): one for name, one in value.items()})  # names may have dots
        return
    if isinstance(value, Mapping):
        for inner, one in value.items():
            assign(config, f"{key}.{inner}", one)
        return
    group = OmegaConf.select(config, key)
    if isinstance(group, DictConfig) and "name" in group:
        key = f"{key}.name"
    elif isinstance(group, DictConfig):
        raise ConfigError(_needs_keys(key, value))
    known = [*keys(config), *(f"{group}.{name}" for group in _PASSED_TO for name in _arguments(group))]
    has_group = OmegaConf.select(config, key.rpartition(".")[0]) is not None
    if key not in keys(config) and not (has_group and _is_open(key)):
        raise ConfigError(f"There is no key {key!r}{nearest(key, known)}. `salreg validate` lists all keys of a recipe.")
    try:
        OmegaConf.update(config, key, value)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{key}: {error}") from error


def _needs_keys(key: str, value: Any) -> str:
    return f"{key} is a mapping from keys to values, such as {{key: value}}, not {checks.said(value)}."


def check(config: DictConfig, like: DictConfig, where: str) -> None:
    """Refuse keys that a recipe does not have, or lacks."""
    known, given = set(keys(like)), set(keys(config))
    for key in sorted(given - known):
        if isinstance(OmegaConf.select(like, key), DictConfig):
            raise ConfigError(f"{where}: {_needs_keys(key, OmegaConf.select(config, key))}")
    for key in sorted(given - known):
        if not _is_open(key) and not key.startswith("arms."):
            raise ConfigError(f"{where}: there is no key {key!r}{nearest(key, known)}.")
    missing = sorted(key for key in known - given if not key.startswith(("arms", "trainer.")))
    if missing:
        raise ConfigError(f"{where}: the key {missing[0]!r} is missing.")


def keys(config: DictConfig) -> list[str]:
    """All keys that hold values, dotted."""
    found: list[str] = []
    for key, value in config.items():
        if isinstance(value, DictConfig) and key != "arms":
            found += [f"{key!s}.{inner}" for inner in keys(value)]
        else:
            found.append(str(key))
    return found


def _original(config: DictConfig, path: Path) -> DictConfig:
    """The packaged configuration of the same recipe module."""
    for packaged in recipes().values():
        original = cast(DictConfig, OmegaConf.load(packaged))
        if original.recipe == config.get("recipe"):
            return original
    known = sorted({str(OmegaConf.load(packaged).recipe) for packaged in recipes().values()})
    raise ConfigError(f"{path}: `recipe: {config.get('recipe')}` is unknown. There are: {', '.join(known)}.")


def _is_open(key: str) -> bool:
    """Whether a key may be new: an argument of the Trainer, the metrics or the snapshots, an option of a preset (which refuses
    those it does not have), or the name of a number to be alerted by, or of a category or column of annotations."""
    if key.startswith(("snapshots.alerts.", "preset.", "data.categories.", "data.columns.")):
        return True
    group, _, name = key.partition(".")
    return group in _PASSED_TO and name in _arguments(group)


def _arguments(group: str) -> set[str]:
    """What a group's keys may be: the arguments of what they are passed to, but for those that the recipe gives itself."""
    made, given = _PASSED_TO[group]
    return set(inspect.signature(made).parameters) - given
