"""An audit as a section of a model card, in Markdown."""

import importlib
import math
from collections.abc import Mapping, Sequence

from salreg.audit import trainings, words
from salreg.audit.findings import DONE, Audit
from salreg.audit.intervals import Interval
from salreg.audit.page import check


def card_section(audits: Mapping[str, Audit], seeds: Mapping[str, Sequence[Audit]] | None = None) -> str:
    """The section "What the model relies on": what was marked and found, how it was measured, and what remains unknown.

    Args:
        audits: One audit by the model's name, or two on the same data, before and after; the card describes the last one.
        seeds: By the same names, the audits of all trainings with other seeds.

    Returns:
        Markdown.

    Raises:
        ValueError: There is no audit, there are more than two, or two are on different data.
    """
    check(audits)
    last = list(audits.values())[-1]
    parts = [
        "## What the model relies on",
        f"### What was marked\n\n{last.marked or 'Nothing was marked in training.'}",
        *([_list("Before and after", words.compared(list(audits.values())))] if len(audits) > 1 else []),
        *([_list("Over trainings", trainings.sentences(seeds))] if seeds and max(map(len, seeds.values())) > 1 else []),
        *(
            _list("What was found" if len(audits) == 1 else f"What was found: {name}", words.findings(audit))
            for name, audit in audits.items()
        ),
        _uses(audits),
        _groups(audits),
        _pairs(last),
        _list("How it was measured", last.measured),
        _list("What is not known", last.unknown),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def model_card(audits: Mapping[str, Audit], name: str, seeds: Mapping[str, Sequence[Audit]] | None = None) -> str:
    """A model card with this section. If ``huggingface_hub`` is installed, the numbers are added as metadata; otherwise it is
    the section below a headline.

    Args:
        audits: As in ``card_section``.
        name: The name of the model.
        seeds: As in ``card_section``.
    """
    section = f"# {name}\n\n{card_section(audits, seeds)}"
    try:
        hub = importlib.import_module("huggingface_hub")
    except ModuleNotFoundError:
        return section
    last = list(audits.values())[-1]
    task = "text-classification" if last.of == "texts" else "tabular-classification"
    found = [(f"reliance on {one.name}", one.worst[1].share.value) for one in last.uses if one.worst]
    found += [(f"{gap.rate.replace('_', ' ')} gap by {gap.axis}", gap.difference.value) for gap in last.gaps]
    results = [
        hub.EvalResult(
            task_type=task, dataset_type="audit", dataset_name="audited data", metric_type=metric.replace(" ", "_"),
            metric_name=metric, metric_value=round(value, 4),
        )
        for metric, value in found
    ]  # fmt: skip
    data = hub.ModelCardData(tags=["salreg", "audit"], **({"model_name": name, "eval_results": results} if results else {}))
    return str(hub.ModelCard(f"---\n{data.to_yaml()}\n---\n\n{section}"))


def _list(title: str, sentences: Sequence[str]) -> str:
    return f"### {title}\n\n" + "\n".join(f"- {one}" for one in sentences) if sentences else ""


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _uses(audits: Mapping[str, Audit]) -> str:
    last = list(audits.values())[-1]
    rows = []
    for use in last.uses:
        own = [
            next((one for one in audit.uses if (one.axis, one.name) == (use.axis, use.name)), None) for audit in audits.values()
        ]
        for kind, change in use.changes.items():
            shares = [one.changes[kind].share if one and kind in one.changes else None for one in own]
            control = [_share(change.control)] if last.of == "texts" else []
            rows.append([use.axis, use.name, DONE[kind], *map(_share, shares), *control])
    if not rows:
        return ""
    controls = ["with random words"] if last.of == "texts" else []
    headers = ["", "what", "is", *(f"predictions that change: {name}" for name in audits), *controls]
    return f"### What predictions depend on\n\n{_table(headers, rows)}"


def _groups(audits: Mapping[str, Audit]) -> str:
    rows = [
        [name, one.axis, one.name, str(one.count), *(_share(rate) for rate in one.rates.values())]
        for name, audit in audits.items()
        for one in audit.groups
    ]
    if not rows:
        return ""
    headers = ["model", "divided by", "group", "samples", "accuracy", "false positive rate", "false negative rate"]
    return f"### For whom it is wrong\n\n{_table(headers, rows)}"


def _pairs(audit: Audit) -> str:
    rows = [
        [one.change, one.before, f"{one.predicted[0]}, {one.probability[0]:.2f}", one.after,
         f"{one.predicted[1]}, {one.probability[1]:.2f}"]
        for one in audit.pairs[:5]
    ]  # fmt: skip
    if not rows:
        return ""
    headers = ["changed", "before", "predicted", "after", "predicted"]
    return f"### The worst counterfactual pairs\n\n{_table(headers, rows)}"


def _share(interval: Interval | None) -> str:
    return "–" if interval is None or math.isnan(interval.value) else words.with_bounds(interval)
