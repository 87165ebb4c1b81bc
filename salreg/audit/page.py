"""An audit as one page that opens in any browser, even offline."""

from collections.abc import Mapping, Sequence
from html import escape

from salreg.audit import pieces, trainings, words
from salreg.audit.diff import marked_changes
from salreg.audit.findings import DONE, Audit, Change, Gap, GroupRates, Pair, Use

_SEEN = 4  # pairs that are not folded


def page(
    audits: Mapping[str, Audit],
    title: str = "What the model relies on",
    seeds: Mapping[str, Sequence[Audit]] | None = None,
) -> str:
    """The page.

    Args:
        audits: One audit by the model's name, or two on the same data, before and after.
        title: Its headline.
        seeds: By the same names, the audits of all trainings with other seeds; the page shows their means and standard
            deviations.

    Returns:
        Self-contained HTML.

    Raises:
        ValueError: There is no audit, there are more than two, or two are of different kinds.
    """
    check(audits)
    last = list(audits.values())[-1]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{last.samples} {"texts" if last.of == "texts" else "rows"}; the positive class is '
        f"{escape(repr(last.positive))}. {escape(last.marked)}</p>",
        _key(list(audits)) if len(audits) > 1 else "",
        pieces.listed("Before and after", words.compared(list(audits.values()))) if len(audits) > 1 else "",
        trainings.section(seeds) if seeds else "",
        *(_found(name, audit, len(audits) > 1) for name, audit in audits.items()),
        _uses(audits),
        _saliency(audits),
        _groups(audits),
        _gaps(audits),
        _terms(audits),
        *(_pairs(name, audit, len(audits) > 1) for name, audit in audits.items()),
        pieces.listed("How it was measured", last.measured),
        pieces.listed("What is not known", last.unknown),
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{pieces.STYLE}</style><body>'
        + "\n".join(part for part in parts if part)
        + "</body></html>\n"
    )


def check(audits: Mapping[str, Audit]) -> None:
    """Refuse audits that cannot be compared side by side."""
    if not 1 <= len(audits) <= 2:
        raise ValueError(f"A page shows one audit, or two (before and after), not {len(audits)}.")
    kinds = {(one.of, one.samples, tuple(one.classes)) for one in audits.values()}
    if len(kinds) > 1:
        raise ValueError("Two audits can be compared only if they are on the same data and classes.")


def _key(names: Sequence[str]) -> str:
    dots = (
        f'<span><i class="dot" style="background: var(--{colour})"></i>{escape(name)}</span>'
        for name, colour in zip(names, ("bar", "after"), strict=True)
    )
    return f'<p class="key">{"".join(dots)}</p>'


def _found(name: str, audit: Audit, several: bool) -> str:
    return pieces.listed(f"What was found: {name}" if several else "What was found", words.findings(audit))


def _matching(audits: Mapping[str, Audit], use: Use) -> list[Use | None]:
    return [
        next((one for one in audit.uses if (one.axis, one.name) == (use.axis, use.name)), None) for audit in audits.values()
    ]


def _uses(audits: Mapping[str, Audit]) -> str:
    last = list(audits.values())[-1]
    rows: list[tuple[bool, list[Change | None], list[str]]] = []
    for use in last.uses:
        own = _matching(audits, use)
        worst = max((one.worst for one in own if one and one.worst), key=lambda one: one[1].share.low, default=(None, None))[0]
        for kind in DONE:
            changes = [one.changes.get(kind) if one else None for one in own]
            if any(changes):
                rows.append((kind == worst, changes, [escape(use.name), escape(DONE[kind])]))
    scale = pieces.scale_of(one and one.share for _, changes, _ in rows for one in changes)
    worst_rows, all_rows = ([_use_row(*row[1:], scale, last) for row in rows if row[0] or full] for full in (False, True))
    texts = last.of == "texts"
    controls = ["with random words"] if texts else []
    headers = ["what", "is", "share", "predictions that change", *controls, f"shift of P({last.positive})"]
    note = "; the dashed line shows the effect of as many random words" if texts else ""
    return (
        f"<h2>What predictions depend on</h2><p>The share of changed {'texts' if texts else 'rows'} whose predicted class "
        f"changes, with its interval, by the change that matters most{note}. Bars go up to {scale:.0%}.</p>"
        f"{pieces.table(headers, worst_rows)}{pieces.folded('All changes', pieces.table(headers, all_rows))}"
    )


def _use_row(changes: list[Change | None], names: list[str], scale: float, last: Audit) -> list[str]:
    shares = [one and one.share for one in changes]
    control = changes[-1].control if changes[-1] else None
    shift = " → ".join("–" if one is None else f"{one.shift.value:+.2f}" for one in changes)
    controls = [words.percent(control.value) if control else "–"] if last.of == "texts" else []
    return [*names, pieces.bars(shares, scale, control), pieces.numbers(shares), *controls, shift]


def _saliency(audits: Mapping[str, Audit]) -> str:
    last = list(audits.values())[-1]
    found = [
        (use, name, [one.saliency.get(name) if one else None for one in _matching(audits, use)])
        for use in last.uses
        for name in use.saliency
    ]
    if not found:
        return ""
    scale = pieces.scale_of(one for _, _, shares in found for one in shares)
    rows = [
        [escape(use.name), escape(name.replace("_", " ")), pieces.bars(shares, scale), pieces.numbers(shares),
         words.percent(use.places)]
        for use, name, shares in found
    ]  # fmt: skip
    of = "words" if last.of == "texts" else "columns"
    headers = ["what", "map", "bar", "share of the map", f"share of the {of}"]
    return (
        f"<h2>Where the maps point</h2><p>Bars go up to {scale:.0%}. A map that knows nothing gives a thing its share of "
        f"the {of}.</p>{pieces.table_or_folded('All maps', headers, rows)}"
    )


def _groups(audits: Mapping[str, Audit]) -> str:
    last = list(audits.values())[-1]
    rows = []
    for group in last.groups:
        own = [_group(audit, group) for audit in audits.values()]
        rows.append([
            escape(group.axis), escape(group.name), str(group.count),
            *(pieces.numbers([one.rates[rate] if one else None for one in own]) for rate in group.rates),
        ])  # fmt: skip
    if not rows:
        return ""
    rates = [rate.replace("_", " ") for rate in last.groups[0].rates]
    headers = ["divided by", "group", "samples", *rates]
    return f"<h2>For whom it is wrong</h2>{pieces.table_or_folded('All groups', headers, rows)}"


def _group(audit: Audit, like: GroupRates) -> GroupRates | None:
    return next((one for one in audit.groups if (one.axis, one.name) == (like.axis, like.name)), None)


def _gaps(audits: Mapping[str, Audit]) -> str:
    several = len(audits) > 1
    rows = [
        [*([escape(name)] if several else []), escape(gap.axis), escape(gap.rate.replace("_", " ")),
         escape(f"{gap.highest} over {gap.lowest}"), _points(gap)]
        for name, audit in audits.items()
        for gap in audit.gaps
    ]  # fmt: skip
    if not rows:
        return ""
    headers = [*(["model"] if several else []), "divided by", "rate", "between", "points (interval)"]
    return f"<h2>The widest gaps</h2>{pieces.table_or_folded('All gaps', headers, rows)}"


def _points(gap: Gap) -> str:
    value, low, high, _ = gap.difference
    return f"{100 * value:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _terms(audits: Mapping[str, Audit]) -> str:
    last = list(audits.values())[-1]
    found = [
        (use, term, [_insertion(one, term.term) for one in _matching(audits, use)])
        for use in last.uses
        for term in (use.terms if len(use.terms) > 1 else [])
    ]
    if not found:
        return ""
    scale = pieces.scale_of(one and one.share for _, _, changes in found for one in changes)
    rows = []
    for use, term, changes in found:
        shares = [one and one.share for one in changes]
        shift = " → ".join("–" if one is None else f"{one.shift.value:+.2f}" for one in changes)
        named = [escape(use.name), escape(term.term), str(term.found)]
        rows.append([*named, pieces.bars(shares, scale), pieces.numbers(shares), shift])
    headers = ["group", "term", "texts that name it", "share", "predictions that change when it is put in", "shift"]
    return f"<h2>Term by term</h2>{pieces.table_or_folded('All terms', headers, rows)}"


def _insertion(use: Use | None, term: str) -> Change | None:
    return next((one.insertion for one in (use.terms if use else []) if one.term == term), None)


def _pairs(name: str, audit: Audit, several: bool) -> str:
    if not audit.pairs:
        return ""
    title = f"The worst counterfactual pairs: {name}" if several else "The worst counterfactual pairs"
    told = [_pair(one, audit) for one in audit.pairs]
    rest = pieces.folded(f"{len(told) - _SEEN} more", "".join(told[_SEEN:])) if len(told) > _SEEN else ""
    return f"<h2>{escape(title)}</h2>{''.join(told[:_SEEN])}{rest}"


def _pair(pair: Pair, audit: Audit) -> str:
    before, after = marked_changes(pair.before, pair.after)
    told = (
        f"<p>{before}<br><span class='soft'>→ {escape(pair.predicted[0])}, {pair.probability[0]:.2f}</span></p>"
        f"<p>{after}<br><span class='soft'>→ {escape(pair.predicted[1])}, {pair.probability[1]:.2f}</span></p>"
    )
    said = f"{pair.axis}: {pair.change}; P({audit.positive}) is given; the label is {pair.label}"
    return f'<div class="pair"><p class="soft">{escape(said)}</p>{told}</div>'
