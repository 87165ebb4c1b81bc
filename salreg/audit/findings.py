"""What an audit found, as numbers and texts that can be written down."""

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
    """What a model does when something of a sample is changed.

    Attributes:
        share: Of the changed samples, those whose predicted class changes: reliance.
        shift: How much the probability of the positive class rises on average, in [-1, 1].
        control: The share when the same is done to random other words; None where nothing is compared.
    """

    share: Interval
    shift: Interval
    control: Interval | None = None


@dataclass(frozen=True)
class TermUse:
    """One term, put into texts that name none of its axis.

    Attributes:
        term: As the lexicon has it.
        found: How many texts of the data name it.
        insertion: What the predictions do; None where it was put into none.
    """

    term: str
    found: int
    insertion: Change | None


@dataclass(frozen=True)
class Use:
    """How much predictions depend on a group's terms, or on a feature of a table.

    Attributes:
        axis: Of the lexicon, or ``columns``.
        name: The group, or the feature.
        found: How many samples name it, or have the feature.
        changes: By kind; those that could be made.
        saliency: By attribution, the share of the map that lies on it.
        places: The share of words, or of columns, that it is: what a map that knows nothing would give it.
        terms: One by one; empty for columns.
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
        """The kind of change that surely changes most predictions, by the lower bound; None where there is none."""
        known = [one for one in self.changes.items() if not math.isnan(one[1].share.value)]
        return max(known, key=lambda one: (one[1].share.low, one[1].share.value)) if known else None


@dataclass(frozen=True)
class GroupRates:
    """What is right and wrong for the samples of a group.

    Attributes:
        axis: What the groups divide.
        name: Of the group.
        count: How many samples it has.
        rates: ``accuracy``, ``false_positive_rate`` and ``false_negative_rate``.
    """

    axis: str
    name: str
    count: int
    rates: dict[str, Interval]


@dataclass(frozen=True)
class Gap:
    """The difference between the groups in which a rate is highest and lowest.

    Attributes:
        axis: What the groups divide.
        rate: Which one.
        highest: The group.
        lowest: The other one.
        difference: At least 0; its interval may reach below.
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
        axis: Of what was changed.
        kind: How.
        change: From what to what, in words.
        before: The sample, written out.
        after: The counterfactual.
        predicted: The classes, before and after.
        probability: Of the positive class, before and after.
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
    """All that was found of one model.

    Attributes:
        of: ``texts`` or ``table``.
        samples: How many were audited.
        classes: What the classes are called.
        positive: The one whose probability is followed, and whose false alarms are counted.
        uses: What predictions depend on.
        groups: What is right and wrong, group by group.
        gaps: Between the groups.
        pairs: The counterfactuals that change the probability most, the worst first.
        marked: What was marked in training, in words.
        measured: How everything was measured, a sentence each.
        unknown: What is not known, a sentence each.
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
        """Everything for ``json.dumps``: NaN, which JSON lacks, is None, and an interval a mapping."""
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
