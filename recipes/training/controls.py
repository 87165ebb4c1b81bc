"""Arms of a comparison with deliberately wrong or few marks."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from salreg.recipes.training.packaged import ConfigError, recipes
from salreg.recipes.training.table import mean_accuracy

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
_WRONG = [arm for arm, changes in ARMS.items() if "data.control" in changes]
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


def told(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Whether it is the marks that help, in words; empty if there is nothing to compare.

    Args:
        runs: The ``results.json`` of each run by arm.

    Example:
        >>> accuracies = {"plain": 0.5, "regularised": 0.9, "marks at random places": 0.6, "everything marked": 0.1}
        >>> told({arm: [{"test/accuracy": accuracy}] for arm, accuracy in accuracies.items()})
        'Accuracy with the marks: 0.900; with wrong marks at most 0.600 (marks at random places); plain: 0.500.'
    """
    means = {arm: mean_accuracy(results) for arm, results in runs.items()}
    wrong = {arm: means[arm] for arm in _WRONG if not math.isnan(means.get(arm, math.nan))}
    if not wrong or math.isnan(means.get("regularised", math.nan)):
        return ""
    best, right = max(wrong, key=wrong.__getitem__), means["regularised"]
    plain = f"; plain: {means['plain']:.3f}" if "plain" in means else ""
    doubt = " That does not show that it is the marks that help." if wrong[best] >= right else ""
    return f"Accuracy with the marks: {right:.3f}; with wrong marks at most {wrong[best]:.3f} ({best}){plain}.{doubt}"
