"""Configurations: one commented YAML per recipe, and overrides from the command line.

The YAML of a recipe is its schema: other keys are refused, and the error suggests the nearest names.
"""

import functools
import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from salreg import checks
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer, SaliencySnapshots
from salreg.callbacks.masked import masked
from salreg.interventions import Intervention
from salreg.names import nearest
from salreg.recipes.training.callbacks import intervenes
from salreg.recipes.training.packaged import ConfigError, describe, locate, recipes

__all__ = ["ConfigError", "assign", "check", "check_values", "describe", "keys", "load", "locate", "recipes", "shown"]
_OF_TRAINER = ("trainer.max_epochs", "trainer.min_epochs", "trainer.max_steps", "trainer.min_steps")
#: The constructor that receives a group's keys as its arguments, and the arguments that the recipe itself passes.
PASSED_TO: dict[str, tuple[type, set[str]]] = {
    "trainer": (pl.Trainer, {"callbacks", "default_root_dir", "logger"}),
    "regularizer": (SaliencyRegularizer, set()),
    "intervention": (Intervention, set()),
    "metrics": (SaliencyMetrics, {"rationale"}),
    "snapshots": (SaliencySnapshots, {"dir"}),
}
#: The keys whose value is a name, or a name with options.
_BY_NAME = ("regularizer.attribution", "regularizer.loss", "regularizer.preset", "metrics.attribution")
_NAMED_BY_USERS = ("data.categories", "data.columns")  # groups whose keys the user chooses


def load(recipe: str, overrides: Iterable[str] = ()) -> DictConfig:
    """A recipe's configuration with overrides ``key=value`` applied.

    ``group=value`` sets the ``name`` of a group that has one, so that ``model=cnn`` is ``model.name=cnn``.

    Raises:
        ConfigError: The recipe or a key is unknown, or YAML cannot read a value.
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
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"{override!r} is not of the form key=value.")
        try:
            value = OmegaConf.to_container(OmegaConf.create(f"value: {text}"), resolve=False)["value"]  # type: ignore[index, call-overload]
        except Exception as error:
            raise ConfigError(f"The value of {key} cannot be read: {text!r}. Quote it as YAML requires.") from error
        assign(config, key, value)
    check_values(config, path)
    check_effect(config, like=_original(config, path))
    return config


def check_effect(config: DictConfig, like: DictConfig) -> None:
    """Refuse settings that differ from the packaged recipe ``like`` but have no effect.

    Raises:
        ConfigError: A setting has no effect; the message says what it needs.
    """
    preset = config.regularizer.preset
    replaced = [key for key in ("attribution", "loss") if config.regularizer.get(key) != like.regularizer.get(key)]
    if preset is not None and replaced:
        raise ConfigError(
            f"regularizer.{replaced[0]} has no effect with regularizer.preset, which has its own. Remove one of them."
        )
    as_written = [cast(dict[str, Any], OmegaConf.to_container(one.intervention, resolve=False)) for one in (config, like)]
    changed = [key for key, value in as_written[0].items() if value != as_written[1].get(key)]  # its seed is ${seed}
    if changed and not intervenes(config):
        raise ConfigError(f"intervention.{changed[0]} has no effect without an intervention. Add regularizer.intervene=true.")
    if config.logger.offline and config.logger.name != "wandb":
        raise ConfigError(
            f"logger.offline has no effect with logger={config.logger.name}: it belongs to W&B. Add logger=wandb."
        )


def check_values(config: DictConfig, path: Path | None = None) -> None:
    """Refuse values of another type than the recipe's own (text for a number or a boolean), and negative numbers.

    Raises:
        ConfigError: A value is invalid, or an interpolation cannot be resolved.
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
    elif key.startswith("trainer.") or (key.startswith("regularizer.") and value is None):
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
    """All values except those of the arms, by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value and key != "arms":
            found |= {f"{key}.{inner}": one for inner, one in _flat(value).items()}
        else:
            found[str(key)] = value
    return found


def shown(config: DictConfig) -> str:
    """A configuration that everybody may see: interpolations are unresolved, and likely secrets are masked.

    Example:
        >>> print(shown(OmegaConf.create({"root": "${oc.env:HOME}", "api_key": "abc"})), end="")
        root: ${oc.env:HOME}
        api_key: '***'
    """
    return masked(OmegaConf.to_yaml(config))


def assign(config: DictConfig, key: str, value: Any) -> None:
    """Set an existing key; a ``ConfigError`` suggests the nearest ones."""
    if key in _NAMED_BY_USERS and isinstance(value, Mapping) and OmegaConf.select(config, key) is not None:
        OmegaConf.update(config, key, {str(name): one for name, one in value.items()})  # names may contain dots
        return
    if key in _BY_NAME:
        OmegaConf.update(config, key, value, merge=False)
        return
    whole, _, option = key.rpartition(".")
    if whole in _BY_NAME:
        OmegaConf.update(config, whole, {**_with_name(config, whole, key), option: value}, merge=False)
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
    has_group = OmegaConf.select(config, key.rpartition(".")[0]) is not None
    if key not in keys(config) and not (has_group and _is_open(key)):
        raise ConfigError(_unknown(config, key))
    try:
        OmegaConf.update(config, key, value)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{key}: {error}") from error


def _unknown(config: DictConfig, key: str) -> str:
    """The message that there is no such key, with a suggestion: a similar key, or one of the same name in another group."""
    known = list(dict.fromkeys([*keys(config), *(f"{group}.{name}" for group in PASSED_TO for name in arguments(group))]))
    elsewhere = [one for one in known if one.rpartition(".")[2] == key.rpartition(".")[2]]
    group = key.partition(".")[0]
    listing = (
        f"`salreg keys {group}` lists all of this group" if group in PASSED_TO else "`salreg validate` prints those of a recipe"
    )
    meant = f" (did you mean {elsewhere[0]!r}?)" if len(elsewhere) == 1 else nearest(key, known)
    return f"There is no key {key!r}{meant}. {listing}."


def _with_name(config: DictConfig, whole: str, key: str) -> dict[str, Any]:
    """The value with a name that an option is added to."""
    given = OmegaConf.select(config, whole)
    if given is None:
        raise ConfigError(f"{key} has no effect without a name. Add {whole}=NAME before it.")
    return dict(given) if isinstance(given, DictConfig) else {"name": given}


def _needs_keys(key: str, value: Any) -> str:
    return f"{key} must be a mapping from keys to values, such as {{key: value}}, not {checks.said(value)}."


def check(config: DictConfig, like: DictConfig, where: str) -> None:
    """Refuse keys that the recipe does not have, and a configuration that lacks one of its keys."""
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
    """All dotted keys that hold values; options beside a name belong to the value."""
    values = _flat(cast(dict[str, Any], OmegaConf.to_container(config)))
    whole = (next((one for one in _BY_NAME if key.startswith(f"{one}.")), key) for key, value in values.items() if value != {})
    return list(dict.fromkeys(whole))


def _original(config: DictConfig, path: Path) -> DictConfig:
    """The packaged configuration of the same recipe module."""
    for packaged in map(_packaged, recipes().values()):
        if packaged.recipe == config.get("recipe"):
            return packaged
    known = sorted({str(_packaged(one).recipe) for one in recipes().values()})
    raise ConfigError(f"{path}: `recipe: {config.get('recipe')}` is unknown. There are: {', '.join(known)}.")


@functools.cache
def _packaged(path: Path) -> DictConfig:
    """A packaged configuration, to be compared with: it takes longer to read than all checks."""
    config = cast(DictConfig, OmegaConf.load(path))
    OmegaConf.set_readonly(config, True)
    return config


def _is_open(key: str) -> bool:
    """Whether a key may be added: an argument of the group's constructor, the name of a metric with an alert, or a category or
    column of annotations."""
    if key.startswith(("snapshots.alerts.", "data.categories.", "data.columns.")):
        return True
    group, _, name = key.partition(".")
    return group in PASSED_TO and name in arguments(group)


def arguments(group: str) -> set[str]:
    """The keys that a group may have: its constructor's arguments, except those that the recipe itself passes."""
    made, given = PASSED_TO[group]
    return set(inspect.signature(made).parameters) - given
