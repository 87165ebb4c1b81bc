"""Writes the page of a run or a comparison again once there are test results."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from salreg.callbacks.atomic_write import atomic_write
from salreg.callbacks.sinks import HISTORY
from salreg.evidence import verdict_on_runs
from salreg.history import History
from salreg.plotting import report
from salreg.recipes.training.controls import told
from salreg.recipes.training.table import page_columns
from salreg.verdict import Verdict

Results = Mapping[str, Sequence[Mapping[str, Any]]]


def write_run_page(folder: Path, results: Mapping[str, Any], title: str, shown: Sequence[str]) -> None:
    """Put a run's test results on top of its ``report.html``.

    Args:
        folder: The folder of the run.
        results: The contents of its ``results.json``.
        title: The name of the run.
        shown: Metrics to show beside the usual ones.
    """
    runs = histories({"this run": folder})
    _write(folder, runs, {"this run": [results]}, title, shown)


def write_comparison_page(folder: Path, results: Results, runs: Mapping[str, History], shown: Sequence[str]) -> None:
    """Write a comparison's ``report.html``, with its arms side by side.

    Args:
        folder: The folder of the comparison.
        results: The contents of each run's ``results.json``, by arm.
        runs: The history of each arm's first run.
        shown: Metrics to show beside the usual ones.
    """
    _write(folder, runs, results, folder.parent.name, shown)


def histories(folders: Mapping[str, Path]) -> dict[str, History]:
    """The history of the first run in each folder, if it can be read."""
    found: dict[str, History] = {}
    for arm, folder in folders.items():
        paths = sorted(folder.rglob(f"snapshots/{HISTORY}"))
        try:
            if paths:
                found[arm] = History.load(paths[0])
        except ValueError as error:  # the numbers are there; a picture must not lose them
            warnings.warn(f"The report omits {arm}: {error}", stacklevel=2)
    return found


def _write(folder: Path, runs: Mapping[str, History], results: Results, title: str, shown: Sequence[str]) -> None:
    if runs:
        page = report(runs, title, _verdict(runs, results), page_columns(results, shown))
        with atomic_write(folder / "report.html") as path:
            path.write_text(page, "utf-8")


def _verdict(runs: Mapping[str, History], results: Results) -> Verdict | None:
    """The verdict on regularisation at the first seed, with what the controls show; None if the runs' own verdicts are used."""
    arms = ("plain", "regularised")
    if not set(arms) <= set(runs):
        return None
    found = verdict_on_runs(runs["plain"], runs["regularised"], arms, (results["plain"][0], results["regularised"][0]))
    return replace(found, advice=" ".join(filter(None, (told(results), found.advice))))
