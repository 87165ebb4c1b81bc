"""Arms of a comparison with deliberately wrong or few marks."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from salreg.recipes.training.packaged import ConfigError, recipes

#: The arms that `salreg compare --controls` adds to a recipe's own: ``regularised`` with these changes.
ARMS: Mapping[str, Mapping[str, Any]] = {
    "marks at random places": {"data.control": "random places"},
    "marks of other samples": {"data.control": "other samples"},
    "everything marked": {"data.control": "everything"},
    "a tenth of the marks": {"data.marked": 0.1},
    "a tenth carried over": {"data.marked": 0.1, "data.carry_over": True},
    "a hundredth of the marks": {"data.marked": 0.01},
    "a hundredth carried over": {"data.marked": 0.01, "data.carry_over": True},
}
_KEYS = ("control", "marked", "carry_over")


def add_arms(config: DictConfig) -> None:
    """Add the controls to the arms of a recipe.

    Raises:
        ConfigError: The recipe lacks these settings, or has no arm ``regularised``.
    """
    missing = [f"data.{key}" for key in _KEYS if key not in config.data]
    if missing:
        able = [name for name, path in recipes().items() if all(key in OmegaConf.load(path).data for key in _KEYS)]
        raise ConfigError(
            f"The recipe {config.recipe} has no {', '.join(missing)} for --controls. These have: {', '.join(able)}."
        )
    if "regularised" not in config.arms:
        raise ConfigError("--controls changes the arm 'regularised', which is not among the arms.")
    for name, changes in ARMS.items():
        config.arms[name] = {**config.arms["regularised"], **changes}
