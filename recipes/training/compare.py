"""Trains the same recipe in several ways ("arms") with several seeds, and compares them."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from salreg.callbacks.atomic_write import atomic_write
from salreg.callbacks.sinks import save_png
from salreg.history import History
from salreg.names import nearest
from salreg.plotting import comparison
from salreg.propagation import PropagationError
from salreg.recipes.training.config import ConfigError, assign, check_values
from salreg.recipes.training.page import histories, write_comparison_page
from salreg.recipes.training.run import run


def compare(config: DictConfig, folder: Path, seeds: int, arms: Sequence[str] | None = None) -> dict[str, Any]:
    """Train every arm with every seed below ``folder``; write ``compare.json``, ``report.html``, ``comparison.png`` there.

    Args:
        config: A recipe's configuration; its ``arms`` say how the arms differ.
        folder: The folder in which one run folder per arm and seed is created.
        seeds: The number of seeds, counted from the configuration's seed.
        arms: The arms to train; by default all.

    Returns:
        The ``results.json`` of each run by arm, in the order of the seeds. Runs whose marks cannot be carried over are omitted.

    Raises:
        ConfigError: There is no such arm.
    """
    runs: dict[str, list[dict[str, Any]]] = {}
    plans = planned(config, seeds, arms)
    for number, (arm, seed, one) in enumerate(plans, start=1):
        print(f"[{number}/{len(plans)}] {arm}, seed {seed}", flush=True)
        place = folder / _place(arm) / f"seed_{seed}"
        place.mkdir(parents=True)
        try:
            results = run(one, place)
        except ConfigError as error:
            if not isinstance(error.__cause__, PropagationError):
                raise
            print(f"{arm}, seed {seed}, is left out: {error}", flush=True)
            continue
        runs.setdefault(arm, []).append(results)
        _write(folder, runs)
    seen = histories({arm: folder / _place(arm) for arm in runs})
    _draw(folder, seen)
    write_comparison_page(folder, runs, seen, config.shown)
    return runs


def planned(config: DictConfig, seeds: int, arms: Sequence[str] | None = None) -> list[tuple[str, int, DictConfig]]:
    """The arm, the seed and the configuration of each run of a comparison.

    Raises:
        ConfigError: There is no such arm, or an arm's changes are not settings.
    """
    for arm in arms or ():
        if arm not in config.arms:
            raise ConfigError(f"There is no arm {arm!r}{nearest(arm, map(str, config.arms))}.")
    for arm, changes in config.arms.items():
        if not isinstance(changes, Mapping):
            raise ConfigError(
                f"arms.{arm} must be a mapping of keys to values, such as {{regularizer.weight: 0}}, not {changes!r}."
            )
    plans = []
    for arm in map(str, arms or config.arms):
        for seed in range(config.seed, config.seed + seeds):
            one = deepcopy(config)
            changes = cast(dict[str, Any], OmegaConf.to_container(config.arms[arm], resolve=False))
            for key, value in {**changes, "seed": seed}.items():
                assign(one, key, value)
            check_values(one)
            plans.append((arm, seed, one))
    return plans


def _draw(folder: Path, runs: Mapping[str, History]) -> None:
    """Draw ``comparison.png``: the maps at the first seed, of all arms whose panel is that of the first."""
    attribution = next((name for run in runs.values() for name in run.frames), None)
    showing = {arm: run for arm, run in runs.items() if attribution in run.frames}
    if attribution is not None and showing:
        save_png(folder / "comparison.png", comparison(showing, attribution))


def _place(arm: str) -> str:
    return arm.replace(" ", "_")


def _write(folder: Path, runs: dict[str, Any]) -> None:
    with atomic_write(folder / "compare.json") as path:
        path.write_text(json.dumps(runs, indent=2) + "\n", "utf-8")
