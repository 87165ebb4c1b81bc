"""The findings of an audit, as numbers and texts that can be saved."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from salreg.audit.intervals import Interval

#: What is done to a term or a column, in words.
DONE: dict[str, str] = {
    "substitution": "exchanged for a counterpart",
    "removal": "taken away",
    "insertion": "put in",
    "placed": "put in rather than another group",
}


class Change(NamedTuple):
    """How a model reacts when a part of a sample is changed.

    Attributes:
        share: The share of changed samples whose predicted class changes: reliance.
        shift: How much the probability of the positive class rises on average, in [-1, 1].
        control: The share when the same is done to random other words; None if there is no comparison.
    """

    share: Interval
    shift: Interval
    control: Interval | None = None


@dataclass(frozen=True)
class TermUse:
    """One term, inserted into texts that name no term of its axis.

    Attributes:
        term: The term as spelled in the lexicon.
        found: The number of texts in the data that name it.
        insertion: The change of the predictions; None if it was inserted into no text.
    """

    term: str
    found: int
    insertion: Change | None


@dataclass(frozen=True)
class Use:
    """How much predictions depend on a group's terms, or on a feature of a table.

    Attributes:
        axis: The axis of the lexicon, or ``columns``.
        name: The group or the feature.
        found: The number of samples that name the group or have the feature.
        changes: The changes that could be made, by kind.
        saliency: The share of the map on it, by attribution.
        places: Its share of words, or of columns: the share of a uniform map.
        terms: Each term separately; empty for columns.
    """

    axis: str
    name: str
    found: int
    changes: dict[str, Change]
    saliency: dict[str, Interval] = field(default_factory=dict)
    places: float = math.nan
    terms: list[TermUse] = field(default_factory=list)

    @property
    def worst(self) -> tuple[str, Change] | None:
        """The kind of change that changes the most predictions, by the lower bound; None if there is none."""
        known = [one for one in self.changes.items() if not math.isnan(one[1].share.value)]
        return max(known, key=lambda one: (one[1].share.low, one[1].share.value)) if known else None


@dataclass(frozen=True)
class GroupRates:
    """Accuracy and error rates for the samples of a group.

    Attributes:
        axis: The axis of the groups.
        name: The name of the group.
        count: The number of samples in it.
        rates: ``accuracy``, ``false_positive_rate`` and ``false_negative_rate``.
    """

    axis: str
    name: str
    count: int
    rates: dict[str, Interval]


@dataclass(frozen=True)
class Gap:
    """The difference between the groups with the highest and the lowest rate.

    Attributes:
        axis: The axis of the groups.
        rate: The name of the rate.
        highest: The group with the highest rate.
        lowest: The group with the lowest rate.
        difference: At least 0; its interval may extend below.
    """

    axis: str
    rate: str
    highest: str
    lowest: str
    difference: Interval


@dataclass(frozen=True)
class Pair:
    """A sample and its counterfactual.

    Attributes:
        axis: The axis of the change.
        kind: The kind of change.
        change: What was changed into what, in words.
        before: The sample as text.
        after: The counterfactual as text.
        predicted: The predicted classes, before and after.
        probability: The probability of the positive class, before and after.
        label: The true class.
    """

    axis: str
    kind: str
    change: str
    before: str
    after: str
    predicted: tuple[str, str]
    probability: tuple[float, float]
    label: str


@dataclass(frozen=True)
class Audit:
    """All findings about one model.

    Attributes:
        of: ``texts`` or ``table``.
        samples: The number of samples audited.
        classes: The names of the classes.
        positive: The class whose probability is tracked and whose false positives are counted.
        uses: The groups or features that predictions may depend on.
        groups: Accuracy and error rates, group by group.
        gaps: The gaps between the groups.
        pairs: The counterfactuals that change the probability most, largest change first.
        marked: What was marked in training, in words.
        measured: How everything was measured, one sentence each.
        unknown: What remains unknown, one sentence each.
    """

    of: Literal["texts", "table"]
    samples: int
    classes: list[str]
    positive: str
    uses: list[Use]
    groups: list[GroupRates]
    gaps: list[Gap]
    pairs: list[Pair]
    marked: str
    measured: list[str]
    unknown: list[str]

    def as_dict(self) -> dict[str, Any]:
        """The audit as a mapping for ``json.dumps``: NaN, which JSON lacks, becomes None, and an interval becomes a mapping."""
        found: dict[str, Any] = _plain(asdict(self, dict_factory=dict))
        return found


def _plain(value: Any) -> Any:
    if isinstance(value, Interval | Change):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
