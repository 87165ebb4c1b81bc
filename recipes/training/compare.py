"""The same recipe trained in several ways ("arms"), over several seeds, side by side."""

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from statistics import mean, stdev
from typing import Any, cast

from matplotlib.image import imread
from omegaconf import DictConfig, OmegaConf

from salreg.callbacks.atomic_write import atomic_write
from salreg.callbacks.sinks import HISTORY, save_png
from salreg.evidence import verdict_on_runs
from salreg.history import History
from salreg.names import nearest
from salreg.plotting import report, stack
from salreg.propagation import PropagationError
from salreg.recipes.training.config import ConfigError, assign, check_values
from salreg.recipes.training.run import run
from salreg.verdict import Verdict

SHOWN = (
    "test/accuracy",
    "test/worst_group_accuracy",
    "test/accuracy_under_intervention",
    "test/spurious_saliency",
    "test/reliance",
    "seconds",
)
#: How the names of arms begin that have no shortcut to take.
REFERENCES = ("without", "blind")


def compare(config: DictConfig, folder: Path, seeds: int, arms: Sequence[str] | None = None) -> dict[str, Any]:
    """Train every arm with every seed below ``folder``; write ``compare.json``, ``report.html``, ``comparison.png`` there.

    Args:
        config: A recipe's configuration; its ``arms`` say what differs.
        folder: One run folder per arm and seed is made in it.
        seeds: How many, counted from the configuration's seed.
        arms: The arms to train; all by default.

    Returns:
        The ``results.json`` of each run by arm, in the order of the seeds. Where marks cannot be carried over there is none.

    Raises:
        ConfigError: An unknown arm.
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
    _draw(folder, list(runs))
    _report(folder, runs)
    return runs


def planned(config: DictConfig, seeds: int, arms: Sequence[str] | None = None) -> list[tuple[str, int, DictConfig]]:
    """The arm, the seed and the configuration of each run of a comparison.

    Raises:
        ConfigError: An unknown arm, or changes of an arm that are no settings.
    """
    for arm in arms or ():
        if arm not in config.arms:
            raise ConfigError(f"There is no arm {arm!r}{nearest(arm, map(str, config.arms))}.")
    for arm, changes in config.arms.items():
        if not isinstance(changes, Mapping):
            raise ConfigError(f"arms.{arm} is a mapping of keys to values, such as {{saliency.weight: 0}}, not {changes!r}.")
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


def table(runs: dict[str, list[dict[str, Any]]], shown: Sequence[str] = ()) -> str:
    """The mean of each metric, and its standard deviation where there are several seeds.

    Where there is a reference beside ``plain``, an arm whose name begins with "without" or "blind", the table tells which share
    of the way from the one's accuracy to the other's an arm goes.

    Args:
        runs: The results of each arm's runs.
        shown: Metrics of ``results.json`` beside the usual ones: ``accuracy_black`` for ``test/accuracy_black``.
    """
    names = [SHOWN[0], *(f"test/{name}" for name in shown), *SHOWN[1:]]
    recovered = gap_recovered({arm: _accuracy(results) for arm, results in runs.items()})
    columns: dict[str, list[str]] = {}
    for name in names:
        values = ([float(one.get(name, math.nan)) for one in results] for results in runs.values())
        columns[name.removeprefix("test/").replace("_", " ")] = [_cell(one, 1 if name == "seconds" else 3) for one in values]
        if name == SHOWN[0] and recovered:
            columns["gap recovered"] = ["-" if math.isnan(share) else f"{share:.0%}" for share in recovered.values()]
    header = ["", *columns]
    rows = [list(row) for row in zip(runs, *columns.values(), strict=True)]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (header, *rows)
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def gap_recovered(accuracies: Mapping[str, float]) -> dict[str, float]:
    """Of each arm, (its accuracy - plain's) / (the reference's - plain's); NaN where the reference is not better than plain.

    Args:
        accuracies: By arm.

    Returns:
        By arm; nothing where there is no arm ``plain``, or none whose name begins with "without" or "blind".
    """
    reference = next((arm for arm in accuracies if arm.startswith(REFERENCES)), None)
    if "plain" not in accuracies or reference is None:
        return {}
    plain = accuracies["plain"]
    gap = accuracies[reference] - plain
    return {arm: (accuracy - plain) / gap if gap > 0 else math.nan for arm, accuracy in accuracies.items()}


def _accuracy(results: Sequence[Mapping[str, Any]]) -> float:
    return mean(float(one.get(SHOWN[0], math.nan)) for one in results)


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


def _report(folder: Path, results: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """The arms side by side, at their first seed: ``report.html``."""
    paths = {arm: sorted((folder / _place(arm)).glob(f"seed_*/snapshots/{HISTORY}")) for arm in results}
    runs: dict[str, History] = {}
    for arm, found in paths.items():
        try:
            if found:
                runs[arm] = History.load(found[0])
        except ValueError as error:  # the numbers are there, and a picture is not worth them
            warnings.warn(f"The report leaves {arm} out: {error}", stacklevel=2)
    if runs:
        with atomic_write(folder / "report.html") as path:
            path.write_text(report(runs, folder.parent.name, _verdict(runs, results)), "utf-8")


def _verdict(runs: Mapping[str, History], results: Mapping[str, Sequence[Mapping[str, Any]]]) -> Verdict:
    """What regularising did, at the first seed."""
    arms = ("plain", "regularised")
    if not set(arms) <= set(runs):
        return Verdict()
    before, after = (float(results[arm][0].get(SHOWN[0], math.nan)) for arm in arms)
    return verdict_on_runs(runs["plain"], runs["regularised"], arms, (before, after))


def _write(folder: Path, runs: dict[str, Any]) -> None:
    with atomic_write(folder / "compare.json") as path:
        path.write_text(json.dumps(runs, indent=2) + "\n", "utf-8")
