"""Several trainings of the same kind, each with its audit: means and standard deviations."""

import math
import statistics
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from salreg.audit import pieces
from salreg.audit.findings import DONE, Audit
from salreg.audit.words import percent

_MOST = 5


class Spread(NamedTuple):
    """The mean and spread of a number over trainings.

    Attributes:
        mean: The mean; NaN if the number is known for no training.
        deviation: The sample standard deviation; NaN for fewer than two trainings.
        trainings: The number of trainings for which it is known.
    """

    mean: float
    deviation: float
    trainings: int

    def __str__(self) -> str:
        if not self.trainings:
            return "not known"
        return percent(self.mean) + ("" if math.isnan(self.deviation) else f" ± {percent(self.deviation)}")


class Measured(NamedTuple):
    """Identifies a measured number.

    Attributes:
        of: ``change``: the share of predictions that change; ``rate``: a rate of a group; ``gap``: the widest gap between
            groups.
        axis: The axis of the lexicon, ``columns``, or the division into groups.
        name: The group or the feature; empty for a gap.
        how: The kind of change, or the rate.
    """

    of: str
    axis: str
    name: str
    how: str


def spreads(audits: Sequence[Audit]) -> dict[Measured, Spread]:
    """Mean and standard deviation of all numbers over trainings that were audited on the same data.

    Args:
        audits: One audit per training.

    Raises:
        ValueError: There is no audit, or they are on different data.
    """
    if len({(one.of, one.samples, tuple(one.classes)) for one in audits}) != 1:
        raise ValueError("A mean over trainings needs at least one audit, and all audits must be on the same data and classes.")
    found: dict[Measured, list[float]] = {}
    for audit in audits:
        for key, value in _numbers(audit).items():
            found.setdefault(key, []).append(value)
    return {key: _spread(values) for key, values in found.items()}


def sentences(trainings: Mapping[str, Sequence[Audit]]) -> list[str]:
    """What predictions depend on most over trainings, and the widest gaps, one sentence each.

    Args:
        trainings: The audits of each kind of training, by name: one kind, or two, before and after.
    """
    every = [spreads(audits) for audits in trainings.values()]
    said = []
    for of, what in (("change", "of the predictions change when"), ("gap", "is the widest gap of the")):
        keys = [key for key in _known(every[0], of) if of == "gap" or key == _worst_of(every[0], key)]
        for key in sorted(keys, key=lambda one: -every[0][one].mean)[:_MOST]:
            numbers = " → ".join(str(own[key]) if key in own else "not known" for own in every)
            named = f"{key.name!r} ({key.axis}) is {DONE[key.how]}" if of == "change" else f"{_read(key.how)} ({key.axis})"
            said.append(f"{numbers} {what} {named}.")
    return said


def section(trainings: Mapping[str, Sequence[Audit]]) -> str:
    """The part of a page that shows all numbers over trainings; empty if each kind was trained once.

    Args:
        trainings: As in ``sentences``.
    """
    if max(map(len, trainings.values())) < 2:
        return ""
    every = [spreads(audits) for audits in trainings.values()]
    counts = " and ".join(f"{len(audits)} of {name}" for name, audits in trainings.items())
    tables = []
    for of, title in (("change", "Predictions that change"), ("rate", "Rates by group"), ("gap", "Widest gaps")):
        rows = [
            [escape(key.axis), escape(key.name), escape(DONE.get(key.how, _read(key.how))),
             *(escape(str(own[key])) if key in own else "–" for own in every)]
            for key in _known(every[0], of)
        ]  # fmt: skip
        if rows:
            tables.append(pieces.folded(title, pieces.table(["axis", "what", "is", *trainings], rows)))
    return (
        f"{pieces.listed('Over trainings', sentences(trainings))}"
        f'<p class="soft">Mean and standard deviation over trainings with different seeds: {escape(counts)}. What follows '
        f"below is from the first training of each kind.</p>{''.join(tables)}"
    )


def _numbers(audit: Audit) -> dict[Measured, float]:
    changes = {
        Measured("change", use.axis, use.name, kind): change.share.value
        for use in audit.uses
        for kind, change in use.changes.items()
    }
    rates = {
        Measured("rate", one.axis, one.name, rate): value.value for one in audit.groups for rate, value in one.rates.items()
    }
    return {**changes, **rates, **{Measured("gap", one.axis, "", one.rate): one.difference.value for one in audit.gaps}}


def _spread(values: Sequence[float]) -> Spread:
    known = [one for one in values if not math.isnan(one)]
    mean = statistics.fmean(known) if known else math.nan
    return Spread(mean, statistics.stdev(known) if len(known) > 1 else math.nan, len(known))


def _known(found: Mapping[Measured, Spread], of: str) -> list[Measured]:
    return [key for key, spread in found.items() if key.of == of and spread.trainings]


def _worst_of(found: Mapping[Measured, Spread], key: Measured) -> Measured:
    """What of the same group or feature changes most predictions."""
    same = [one for one in _known(found, "change") if (one.axis, one.name) == (key.axis, key.name)]
    return max(same, key=lambda one: found[one].mean)


def _read(rate: str) -> str:
    return rate.replace("_", " ")
