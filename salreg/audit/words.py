"""An audit in plain sentences: what was found, how it was measured, and what is not known."""

import math
from collections.abc import Sequence

from salreg.audit.findings import DONE, Audit, Change, Gap, GroupRates, Use
from salreg.audit.intervals import Bootstrap, Interval

#: Samples below which a group's numbers say little.
FEW = 30


def percent(share: float) -> str:
    """A share as a percentage.

    Example:
        >>> percent(0.034), percent(0.004), percent(float("nan"))
        ('3%', '0.4%', 'not known')
    """
    if math.isnan(share):
        return "not known"
    return f"{share:.1%}" if 0 < abs(share) < 0.01 else f"{share:.0%}"


def with_bounds(interval: Interval) -> str:
    """A share and its interval: ``31% (24% to 38%)``."""
    if math.isnan(interval.value):
        return "not known"
    return f"{percent(interval.value)} ({percent(interval.low)} to {percent(interval.high)})"


def findings(audit: Audit, most: int = 5) -> list[str]:
    """The most important findings, one sentence each: what is relied on most, and the widest gaps, by lower bound.

    Args:
        audit: The audit.
        most: The largest number of sentences of each kind.
    """
    uses = sorted((one for one in audit.uses if one.worst), key=_strength, reverse=True)
    gaps = sorted(audit.gaps, key=lambda one: (one.difference.low, one.difference.value), reverse=True)
    return [*(_use(one, audit) for one in uses[:most]), *(_gap(one) for one in gaps[:most])]


def compared(audits: Sequence[Audit], most: int = 6) -> list[str]:
    """What changed most between two models, one sentence each, by the kind of change that mattered most before.

    Args:
        audits: The audits of two models, before and after, on the same data.
        most: The largest number of sentences.
    """
    before, after = audits
    own = {(use.axis, use.name): use for use in after.uses}
    found = []
    for use in before.uses:
        now = own.get((use.axis, use.name))
        if use.worst and now and use.worst[0] in now.changes:
            kind, old, new = use.worst[0], use.worst[1].share, now.changes[use.worst[0]].share
            said = (
                f"{use.name!r} {DONE[kind]}: {with_bounds(old)} of the predictions changed before, {with_bounds(new)} do now."
            )
            found.append((abs(old.value - new.value), said))
    return [said for _, said in sorted(found, key=lambda one: -one[0])[:most]]


def _strength(use: Use) -> tuple[float, float]:
    return (use.worst[1].share.low, use.worst[1].share.value) if use.worst else (-1.0, -1.0)


def _use(use: Use, audit: Audit) -> str:
    assert use.worst is not None
    kind, change = use.worst
    what = f"{use.name!r} ({use.axis})" if audit.of == "texts" else f"the feature {use.name!r}"
    said = f"{with_bounds(change.share)} of the predictions change when {what} is {DONE[kind]}"
    if change.control is not None:
        said += f"; with random words, {percent(change.control.value)} do"
        said += ", so that any word may do this" if change.share.low <= change.control.value else ""
    return f"{said}{_shift(change, audit)}."


def _shift(change: Change, audit: Audit) -> str:
    value = change.shift.value
    if math.isnan(value) or abs(value) < 0.01:
        return ""
    return f"; the probability of {audit.positive!r} {'rises' if value > 0 else 'falls'} by {abs(value):.2f} on average"


def _gap(gap: Gap) -> str:
    rate = gap.rate.replace("_", " ")
    unsure = "" if gap.difference.low > 0 else ", which chance would explain"
    points = f"{100 * gap.difference.value:.1f} points ({100 * gap.difference.low:.1f} to {100 * gap.difference.high:.1f})"
    return f"The {rate} of {gap.highest!r} is {points} above that of {gap.lowest!r} ({gap.axis}){unsure}."


def measured_of_texts(count: int, bootstrap: Bootstrap, explained: bool) -> list[str]:
    """How an audit of texts measures its numbers."""
    return [
        f"{count} texts that the model was not trained on were predicted as they are and with changes.",
        "Substitution: in texts that name a group, its terms are exchanged with those of another group, keeping form and case.",
        "Removal: the terms of a group are removed from texts that name it.",
        "Insertion: a term is inserted at a random place into texts that name no group of the axis; all terms get the same "
        "place.",
        "Placed: the share of pairs of such texts, with terms of different groups at the same place, that get different "
        "classes.",
        "With random words: the same number of other words of the text is exchanged or removed, or a random word is inserted.",
        "Reliance is the share of changed texts whose predicted class changes.",
        *_common(bootstrap),
        *(_maps("words") if explained else []),
    ]


def measured_of_tables(count: int, bootstrap: Bootstrap, explained: bool) -> list[str]:
    """How an audit of a table measures its numbers."""
    return [
        f"{count} rows that the model was not trained on were predicted as they are and with changes.",
        "Substitution: each row gets the other values of a feature, all of them if there are at most 12, otherwise 12 drawn at "
        "random.",
        "Removal: a feature's columns are set to their mean. Every row has every column, so nothing can be inserted.",
        "Reliance is the share of changed rows whose predicted class changes.",
        *_common(bootstrap),
        *(_maps("columns") if explained else []),
    ]


def _common(bootstrap: Bootstrap) -> list[str]:
    return [
        f"Intervals have level {bootstrap.level:.0%}: percentiles of {bootstrap.times} bootstrap draws of the samples, seed "
        f"{bootstrap.seed}; shares of 0 and 1 have the exact binomial bound. A gap is that between the two groups that are "
        "furthest apart, so it looks larger the more groups there are.",
        "False positives are samples of other classes that are predicted as the positive one; false negatives are the reverse.",
    ]


def _maps(of: str) -> list[str]:
    return [
        "The share of saliency is that of absolute maps of the predicted class's logit: gradient times input, and occlusion of "
        f"one place after the other. It is shown with the share of {of}."
    ]


def unknown_of_texts(uses: Sequence[Use], groups: Sequence[GroupRates], explained: bool) -> list[str]:
    """What an audit of texts cannot tell."""
    absent = [one.name for one in uses if not one.found]
    few = [one.name for one in uses if 0 < one.found < FEW]
    return [
        *([f"No text names {_listed(absent)}: only the effect of inserting them is known."] if absent else []),
        *([f"Fewer than {FEW} texts name {_listed(few)}, so their numbers say little."] if few else []),
        "A model can recognise a group by words that the lexicon lacks: names, topics, dialect.",
        "Changed texts may be unnatural, and articles, pronouns and facts may no longer fit; the random words show how much "
        "any change of a word matters.",
        *_unknown(groups, explained),
    ]


def unknown_of_tables(uses: Sequence[Use], groups: Sequence[GroupRates], explained: bool) -> list[str]:
    """What an audit of a table cannot tell."""
    return [
        "A model can recognise a group by other columns that correlate with it; exchanging one column leaves these unchanged.",
        "Changed rows may describe people who do not exist.",
        *([] if groups else ["No groups of rows were given, so gaps between them are not known."]),
        *_unknown(groups, explained),
    ]


def _unknown(groups: Sequence[GroupRates], explained: bool) -> list[str]:
    small = [f"{one.axis}: {one.name}" for one in groups if one.count < FEW]
    return [
        *([f"Fewer than {FEW} samples belong to {_listed(small)}."] if small else []),
        "The intervals account for other samples of the same kind, but not for other data, other labels or another training.",
        "Whether the labels themselves are fair is not known.",
        *([] if explained else ["No maps were computed, because the model was given as a function."]),
    ]


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
