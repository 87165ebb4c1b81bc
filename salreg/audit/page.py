"""An audit as one page that opens in any browser, without a network."""

from collections.abc import Mapping, Sequence
from html import escape

from salreg.audit import pieces, words
from salreg.audit.diff import marked_changes
from salreg.audit.findings import DONE, Audit, Gap, GroupRates, Pair, Use


def page(audits: Mapping[str, Audit], title: str = "What the model relies on") -> str:
    """The page.

    Args:
        audits: One audit by the model's name, or two of the same data, before and after.
        title: Its headline.

    Returns:
        HTML that needs nothing else.

    Raises:
        ValueError: No audit, more than two, or two of different kinds.
    """
    check(audits)
    last = list(audits.values())[-1]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{last.samples} {"texts" if last.of == "texts" else "rows"}; the positive class is '
        f"{escape(repr(last.positive))}. {escape(last.marked)}</p>",
        _key(list(audits)) if len(audits) > 1 else "",
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
    """Refuse what cannot stand side by side."""
    if not 1 <= len(audits) <= 2:
        raise ValueError(f"A page shows one audit, or two, before and after; not {len(audits)}.")
    kinds = {(one.of, one.samples, tuple(one.classes)) for one in audits.values()}
    if len(kinds) > 1:
        raise ValueError("Two audits stand side by side only where they are of the same data and classes.")


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
    rows = []
    last = list(audits.values())[-1]
    for use in last.uses:
        own = _matching(audits, use)
        for kind in DONE:
            changes = [one.changes.get(kind) if one else None for one in own]
            if not any(changes):
                continue
            control = changes[-1].control if changes[-1] else None
            shift = " → ".join("–" if one is None else f"{one.shift.value:+.2f}" for one in changes)
            rows.append([
                escape(f"{use.name}"), escape(f"{DONE[kind]}"), pieces.bars([one and one.share for one in changes], control),
                pieces.numbers([one and one.share for one in changes]),
                words.percent(control.value) if control else "–", shift,
            ])  # fmt: skip
    what = "texts" if last.of == "texts" else "rows"
    headers = ["what", "is", "share", "predictions that change", "with random words", f"shift of P({last.positive})"]
    if last.of == "table":
        rows = [[*row[:4], row[5]] for row in rows]
        headers.pop(4)
    note = "; the dashed line is what as many random words do" if last.of == "texts" else ""
    return (
        f"<h2>What predictions depend on</h2><p>The share of changed {what} whose predicted class changes, with its "
        f"interval{note}. From none on the left to all on the right.</p>{pieces.table(headers, rows)}"
    )


def _saliency(audits: Mapping[str, Audit]) -> str:
    rows = []
    last = list(audits.values())[-1]
    for use in last.uses:
        own = _matching(audits, use)
        for name in use.saliency:
            shares = [one.saliency.get(name) if one else None for one in own]
            rows.append(
                [
                    escape(use.name),
                    escape(name.replace("_", " ")),
                    pieces.bars(shares),
                    pieces.numbers(shares),
                    words.percent(use.places),
                ]
            )
    if not rows:
        return ""
    of = "words" if last.of == "texts" else "columns"
    return "<h2>Where the maps point</h2>" + pieces.table(
        ["what", "map", "bar", "share of the map", f"share of the {of}"], rows
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
    return "<h2>For whom it is wrong</h2>" + pieces.table(["divided by", "group", "samples", *rates], rows)


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
    return "<h2>The widest gaps</h2>" + pieces.table(headers, rows)


def _points(gap: Gap) -> str:
    value, low, high, _ = gap.difference
    return f"{100 * value:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _terms(audits: Mapping[str, Audit]) -> str:
    last = list(audits.values())[-1]
    rows = []
    for use in last.uses:
        own = _matching(audits, use)
        for term in use.terms if len(use.terms) > 1 else []:
            found = [next((one for one in (other.terms if other else []) if one.term == term.term), None) for other in own]
            shares = [one.insertion.share if one and one.insertion else None for one in found]
            shift = " → ".join(f"{one.insertion.shift.value:+.2f}" if one and one.insertion else "–" for one in found)
            rows.append(
                [escape(use.name), escape(term.term), str(term.found), pieces.bars(shares), pieces.numbers(shares), shift]
            )
    if not rows:
        return ""
    headers = ["group", "term", "texts that name it", "share", "predictions that change when it is put in", "shift"]
    return "<h2>Term by term</h2>" + pieces.table(headers, rows)


def _pairs(name: str, audit: Audit, several: bool) -> str:
    if not audit.pairs:
        return ""
    title = f"The worst counterfactual pairs: {name}" if several else "The worst counterfactual pairs"
    return f"<h2>{escape(title)}</h2>" + "".join(_pair(one, audit) for one in audit.pairs)


def _pair(pair: Pair, audit: Audit) -> str:
    before, after = marked_changes(pair.before, pair.after)
    told = (
        f"<p>{before}<br><span class='soft'>→ {escape(pair.predicted[0])}, {pair.probability[0]:.2f}</span></p>"
        f"<p>{after}<br><span class='soft'>→ {escape(pair.predicted[1])}, {pair.probability[1]:.2f}</span></p>"
    )
    said = f"{pair.axis}: {pair.change}; P({audit.positive}) is given; the label is {pair.label}"
    return f'<div class="pair"><p class="soft">{escape(said)}</p>{told}</div>'
