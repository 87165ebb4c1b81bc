"""The table of results: a row for each arm, in the terminal and on the page."""

import math
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from salreg.verdict import KINDS

SHOWN = (
    "test/accuracy",
    "test/worst_group_accuracy",
    "test/accuracy_under_intervention",
    "test/spurious_saliency",
    "test/reliance",
    "seconds",
)
#: The first words in the names of arms that have no shortcut to take.
REFERENCES = ("without", "blind")


def table(runs: dict[str, list[dict[str, Any]]], shown: Sequence[str] = ()) -> str:
    """The mean of each metric, and its standard deviation if there are several seeds.

    If there is a reference beside ``plain``, an arm whose name begins with "without" or "blind", the table also shows the share
    of the gap between their accuracies that each arm recovers.

    Args:
        runs: The results of each arm's runs.
        shown: Metrics of ``results.json`` beside the usual ones: ``accuracy_black`` for ``test/accuracy_black``.
    """
    columns = _columns(runs, [SHOWN[0], *(f"test/{name}" for name in shown), *SHOWN[1:]])
    header = ["", *columns]
    rows = [list(row) for row in zip(_arms(runs), *columns.values(), strict=True)]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (header, *rows)
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def page_columns(runs: Mapping[str, Sequence[Mapping[str, Any]]], shown: Sequence[str] = ()) -> dict[str, list[str]]:
    """The table for a page: with each kind of reliance, and without columns that were not measured.

    Args:
        runs: The results of each arm's runs.
        shown: As in ``table``.

    Returns:
        The cells of each column by name; the first, without a name, holds the arms.

    Example:
        >>> page_columns({"plain": [{"test/accuracy": 0.5, "test/reliance_removal": 0.25}]})
        {'': ['plain'], 'accuracy': ['0.500'], 'reliance removal': ['0.250']}
    """
    kinds = [f"test/reliance_{kind}" for kind in KINDS]
    columns = _columns(runs, [SHOWN[0], *(f"test/{name}" for name in shown), *SHOWN[1:-1], *kinds, SHOWN[-1]])
    return {"": _arms(runs), **{name: cells for name, cells in columns.items() if set(cells) != {"-"}}}


def _columns(runs: Mapping[str, Sequence[Mapping[str, Any]]], names: Sequence[str]) -> dict[str, list[str]]:
    """The cells of each arm, with the recovered share of the gap beside the accuracy. A model that predicts one class changes
    no prediction, so it has no reliance to show."""
    recovered = gap_recovered({arm: mean_accuracy(results) for arm, results in runs.items()})
    columns: dict[str, list[str]] = {}
    for name in names:
        columns[name.removeprefix("test/").replace("_", " ")] = [
            "constant"
            if name.startswith("test/reliance") and any(one.get("test/constant_predictions") for one in results if name in one)
            else _cell([float(one[name]) for one in results if name in one], 1 if name == "seconds" else 3)
            for results in runs.values()
        ]
        if name == SHOWN[0] and recovered:
            columns["gap recovered"] = ["-" if math.isnan(share) else f"{share:.0%}" for share in recovered.values()]
    return columns


def _arms(runs: Mapping[str, Sequence[object]]) -> list[str]:
    """The names of the arms, with the number of seeds where some were left out."""
    most = max(map(len, runs.values()), default=0)
    return [arm if len(results) == most else f"{arm} ({len(results)} of {most} seeds)" for arm, results in runs.items()]


def gap_recovered(accuracies: Mapping[str, float]) -> dict[str, float]:
    """(arm's accuracy - plain's) / (reference's - plain's) of each arm; NaN if the reference is not better than plain.

    Args:
        accuracies: The accuracy of each arm.

    Returns:
        The shares by arm; empty if there is no arm ``plain``, or none whose name begins with "without" or "blind".
    """
    reference = next((arm for arm in accuracies if arm.startswith(REFERENCES)), None)
    if "plain" not in accuracies or reference is None:
        return {}
    plain = accuracies["plain"]
    gap = accuracies[reference] - plain
    return {arm: (accuracy - plain) / gap if gap > 0 else math.nan for arm, accuracy in accuracies.items()}


def mean_accuracy(results: Sequence[Mapping[str, Any]]) -> float:
    """The mean test accuracy of an arm's runs; NaN if one of them has none."""
    return mean(float(one.get(SHOWN[0], math.nan)) for one in results)


def _cell(values: Sequence[float], digits: int) -> str:
    """A dash if nothing was measured, which is not the same as NaN."""
    if not values:
        return "-"
    if any(map(math.isnan, values)):
        return "NaN"
    text = f"{mean(values):.{digits}f}"
    return f"{text} ± {stdev(values):.{digits}f}" if len(values) > 1 else text
