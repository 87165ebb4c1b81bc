"""The numbers at the top of a page."""

import math
from collections.abc import Mapping, Sequence

from salreg.history import History

#: Logged names without their stage, in the order in which they are shown.
NUMBERS = (
    "accuracy",
    "accuracy_under_intervention",
    "worst_group_accuracy",
    "reliance",
    "reliance_content",
    "reliance_removal",
    "reliance_insertion",
    "spurious_saliency",
)


def validation_summary(runs: Mapping[str, History]) -> dict[str, list[str]]:
    """The validation results of the runs' last epochs, for a page without test results.

    Returns:
        The cells of each column by name; columns that were not measured are missing.

    Example:
        >>> validation_summary({"": History(curves={1: {"val/accuracy": 0.5}, 2: {"val/accuracy": 0.75}})})
        {'accuracy': ['0.750']}
    """
    last = [
        {name: value for logged in dict(sorted(run.curves.items())).values() for name, value in logged.items()}
        for run in runs.values()
    ]
    columns = {name: [values.get(f"val/{name}", math.nan) for values in last] for name in NUMBERS}
    return {name.replace("_", " "): list(map(_cell, values)) for name, values in columns.items() if not _empty(values)}


def _empty(values: Sequence[float]) -> bool:
    return all(map(math.isnan, values))


def _cell(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
