"""A page that shows where a model looked, epoch by epoch, in any browser, even offline."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files

import torch
from torch import Tensor

from salreg.history import History
from salreg.plotting.chart_html import charts_html, table_html
from salreg.plotting.charts import colours, curves, sanity
from salreg.plotting.colours import HEAT, colour_map, rgb
from salreg.plotting.panel_data import panel_data
from salreg.plotting.scale import RULE
from salreg.plotting.summary import validation_summary
from salreg.verdict import Verdict

_PANEL_NOTE = (
    "Below each map: the prediction, the share of the map on the spurious marks, and the map's total as a thin bar. The "
    "arrow keys ← and → move through the epochs."
)
_SANITY_NOTE = (
    "First: how similar the maps stay after the layers' parameters are shuffled, starting from the output; they should not "
    "stay similar. Then: the probability of the prediction as places are replaced by the mean, or put back, most salient "
    "first; with a faithful map it falls, or rises, before the dotted line of random places."
)


def report(
    runs: Mapping[str, History],
    title: str,
    verdict: Verdict | None = None,
    results: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Create the page.

    Args:
        runs: One run, or several to be shown side by side; those whose samples differ from the first one's get a panel of their
            own. Names, labels and configurations are shown literally, including tags.
        title: The title of the page.
        verdict: Replaces the verdict of the runs.
        results: The columns of the table at the top by name; the first names its rows. By default, the numbers of the last
            epoch on the validation data.

    Returns:
        Self-contained HTML.

    Example:
        >>> "<title>mine</title>" in report({"mine": History()}, "mine")
        True
    """
    several = len(runs) > 1
    parts = [f"<h1>{escape(title)}</h1>"]
    verdicts = {"": verdict} if verdict else {name: run.verdict for name, run in runs.items()}
    parts += [_verdict(name if several else "", said) for name, said in verdicts.items() if said]
    parts += _summary(runs, results)
    parts += _panels(runs)
    charts = curves(runs)
    if charts:
        parts += ["<h2>Numbers over the epochs</h2>", charts_html(charts, "The numbers of the charts")]
    checked = {name: run for name, run in runs.items() if run.sanity}
    if checked:
        parts += ["<h2>Can the maps be trusted?</h2>", f'<p class="note">{_SANITY_NOTE}</p>']
    for name, run in checked.items():
        parts += _sanity(name if several else "", run)
    for name, run in runs.items():
        if run.config:
            heading = "Configuration" + (f" ({name})" if several else "")
            told = f'<pre tabindex="0">{escape(run.config)}</pre>'
            parts.append(f"<details><summary>{escape(heading)}</summary>{told}</details>")
    return _page(title, "\n".join(parts), list(runs))


def _page(title: str, body: str, arms: Sequence[str]) -> str:
    stops = [rgb(colour_map(HEAT)(step / 10)) for step in range(11)]
    style = _file("page.css") + _arm_colours(arms)
    scripts = _file("panel.js").replace("HEAT_STOPS", json.dumps(stops)), _file("charts.js")
    run = "".join(f'<script type="module">{script}</script>' for script in scripts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{style}</style><script>{_charts_library()}</script></head>\n"
        f"<body><main>\n{body}\n</main>{run}</body></html>\n"
    )


@cache
def _charts_library() -> str:
    """plotly.js, of 5 MB."""
    from plotly.offline import get_plotlyjs  # takes half a second; only needed to write a page

    return get_plotlyjs()


def _file(name: str) -> str:
    return files("salreg.plotting").joinpath("page", name).read_text("utf-8")


def _arm_colours(arms: Sequence[str]) -> str:
    named = [colour.replace("ink", "var(--ink)") for colour in colours(arms).values()]
    return ":root {" + "".join(f" --arm-{index}: {colour};" for index, colour in enumerate(named)) + " }"


def _verdict(name: str, said: Verdict) -> str:
    concluded = f"{name}: {said.conclusion}" if name else said.conclusion[:1].upper() + said.conclusion[1:]
    return (
        f'<section class="verdict" aria-label="The verdict"><p class="conclusion">{escape(concluded)}.</p>'
        f'<p class="measured">{escape(said.measured)}.</p><p><b>What to do next:</b> {escape(said.advice)}</p></section>'
    )


def _summary(runs: Mapping[str, History], results: Mapping[str, Sequence[str]] | None) -> list[str]:
    """The table at the top."""
    caption = "On the test data" if results else "On the validation data, at the last epoch"
    columns = results or {"": [name or "this run" for name in runs], **validation_summary(runs)}
    if len(columns) < 2:
        return []
    return [table_html(list(columns), list(zip(*columns.values(), strict=True)), caption, "summary")]


def _panels(runs: Mapping[str, History]) -> list[str]:
    """Where the models look: one panel for each attribution and each choice of samples."""
    parts = []
    groups = _by_samples(runs)
    for attribution in dict.fromkeys(name for run in runs.values() for name in run.frames):
        for group in groups:
            showing = {name: run for name, run in group.items() if run.frames.get(attribution)}
            if showing:
                parts.append(_panel(attribution, showing, list(runs), is_first=group is groups[0]))
    return parts


def _panel(attribution: str, showing: Mapping[str, History], arms: Sequence[str], is_first: bool) -> str:
    """One panel; runs with other samples than the first one's are named in its heading."""
    heading, note = f"Where the model looks: {escape(attribution)}", f"{_PANEL_NOTE} {RULE}"
    if not is_first:
        heading += f" ({escape(', '.join(showing))})"
        note = "These samples differ from those above, so the two panels compare by their numbers alone."
    drawn = {**panel_data(showing, attribution), "colours": [arms.index(name) for name in showing]}
    data = json.dumps(drawn, allow_nan=False).replace("<", "\\u003c")
    return (
        f'<h2>{heading}</h2><p class="note">{note}</p><section class="panel" aria-label="{heading}">'
        f'<script type="application/json">{data}</script>'
        "<noscript>This panel needs JavaScript; the numbers below do not.</noscript></section>"
    )


def _sanity(name: str, run: History) -> list[str]:
    """The results of the checks; if there are several runs, their charts are folded."""
    said = "".join(
        f"<p><b>{escape(attribution)}</b> is not to be trusted on this model: {escape(objection)}.</p>"
        for attribution, check in run.sanity.items()
        for objection in check.objections()
    )
    heading = f"<h3>{escape(name)}</h3>" if name else ""
    parts = [f'<div class="objection">{heading}{said}</div>' if said else heading]
    charts = charts_html(sanity(run), f"Results of the checks{f' for {name}' if name else ''}")
    return [*parts, f"<details><summary>The checks of {escape(name)}</summary>{charts}</details>" if name else charts]


def _by_samples(runs: Mapping[str, History]) -> list[dict[str, History]]:
    """The runs that have a panel, those of the same samples together."""
    groups: list[dict[str, History]] = []
    for name, run in runs.items():
        if run.frames:
            alike = next((one for one in groups if _equal(next(iter(one.values())).images, run.images)), None)
            if alike is None:
                groups.append({name: run})
            else:
                alike[name] = run
    return groups


def _equal(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return len(ours) == len(theirs) and all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
