"""The same recipe trained in several ways ("arms"), over several seeds, side by side."""

import json
import math
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib.image import imread
from omegaconf import DictConfig

from salreg.callbacks.atomic_write import atomic_write
from salreg.callbacks.snapshot_files import HISTORY, save_png
from salreg.names import nearest
from salreg.plotting import History, report, stack
from salreg.recipes.config import ConfigError, assign
from salreg.recipes.run import run
from salreg.verdict import verdict_on_runs

SHOWN = ("test/accuracy", "test/worst_group_accuracy", "test/spurious_saliency", "test/reliance", "seconds")


def compare(config: DictConfig, folder: Path, seeds: int, arms: Sequence[str] | None = None) -> dict[str, Any]:
    """Train every arm with every seed below ``folder``; write ``compare.json``, ``report.html``, ``comparison.png`` there.

    Args:
        config: A recipe's configuration; its ``arms`` say what differs.
        folder: One run folder per arm and seed is made in it.
        seeds: How many, counted from the configuration's seed.
        arms: The arms to train; all by default.

    Returns:
        The ``results.json`` of each run by arm, in the order of the seeds.

    Raises:
        ConfigError: An unknown arm.
    """
    for arm in arms or ():
        if arm not in config.arms:
            raise ConfigError(f"There is no arm {arm!r}{nearest(arm, map(str, config.arms))}.")
    plans = [(str(arm), config.seed + offset) for arm in arms or config.arms for offset in range(seeds)]
    runs: dict[str, list[dict[str, Any]]] = {}
    for number, (arm, seed) in enumerate(plans, start=1):
        print(f"[{number}/{len(plans)}] {arm}, seed {seed}", flush=True)
        one = deepcopy(config)
        for key, value in {**config.arms[arm], "seed": seed}.items():
            assign(one, str(key), value)
        place = folder / _place(arm) / f"seed_{seed}"
        place.mkdir(parents=True)
        runs.setdefault(arm, []).append(run(one, place))
        _write(folder, runs)
    _draw(folder, list(runs))
    _report(folder, list(runs))
    return runs


def table(runs: dict[str, list[dict[str, Any]]], shown: Sequence[str] = ()) -> str:
    """The mean of each metric, and its standard deviation where there are several seeds.

    Args:
        runs: The results of each arm's runs.
        shown: Metrics of ``results.json`` beside the usual ones: ``accuracy_black`` for ``test/accuracy_black``.
    """
    names = [SHOWN[0], *(f"test/{name}" for name in shown), *SHOWN[1:]]
    header = ["", *(name.removeprefix("test/").replace("_", " ") for name in names)]
    rows = [
        [arm, *(_cell([float(one.get(name, math.nan)) for one in results], 1 if name == "seconds" else 3) for name in names)]
        for arm, results in runs.items()
    ]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (header, *rows)
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _cell(values: list[float], digits: int) -> str:
    if math.isnan(values[0]):
        return "-"
    text = f"{mean(values):.{digits}f}"
    return f"{text} ± {stdev(values):.{digits}f}" if len(values) > 1 else text


def _draw(folder: Path, arms: Sequence[str]) -> None:
    """The film strips of all arms, at their first seed, in one picture: ``comparison.png``."""
    strips = {arm: sorted((folder / _place(arm)).rglob("film_strip.png")) for arm in arms}
    pictures = {arm: (imread(paths[0])[..., :3] * 255).round().astype("uint8") for arm, paths in strips.items() if paths}
    if pictures:
        save_png(folder / "comparison.png", stack(pictures))


def _place(arm: str) -> str:
    return arm.replace(" ", "_")


def _report(folder: Path, arms: Sequence[str]) -> None:
    """The arms side by side, at their first seed: ``report.html``."""
    paths = {arm: sorted((folder / _place(arm)).glob(f"seed_*/snapshots/{HISTORY}")) for arm in arms}
    runs = {arm: History.load(found[0]) for arm, found in paths.items() if found}
    if runs:
        verdict = verdict_on_runs(runs["plain"], runs["regularised"]) if {"plain", "regularised"} <= set(runs) else ""
        with atomic_write(folder / "report.html") as path:
            path.write_text(report(runs, folder.parent.name, verdict), "utf-8")


def _write(folder: Path, runs: dict[str, Any]) -> None:
    with atomic_write(folder / "compare.json") as path:
        path.write_text(json.dumps(runs, indent=2) + "\n", "utf-8")
