"""A page that shows where a model looked, epoch by epoch, in a browser, without a network."""

from collections.abc import Mapping
from html import escape

import torch
from torch import Tensor

from salreg.history import History
from salreg.plotting.report_figures import Figure, curves_figure, panel_figure, sanity_figure
from salreg.verdict import Verdict

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1320px; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.verdict { border-left: 4px solid #0072B2; padding: .4rem 1rem; background: #f4f8fb; }
.objection { border-left: 4px solid #D55E00; padding: .4rem 1rem; background: #fdf5f0; }
pre { background: #f6f6f6; padding: 1rem; overflow-x: auto; } .note { color: #666; }
"""


def report(runs: Mapping[str, History], title: str, verdict: Verdict | None = None) -> str:
    """Write the page.

    Args:
        runs: One run, or several to be shown side by side; those whose panel holds other samples than the first one's
            are shown in the curves only. Names, labels and configurations are shown as they are, tags included.
        title: Of the page.
        verdict: In place of the runs' own.

    Returns:
        HTML that needs no other file.

    Example:
        >>> "<title>mine</title>" in report({"mine": History()}, "mine")
        True
    """
    several = len(runs) > 1
    parts = [f"<h1>{escape(title)}</h1>"]
    verdicts = {"": verdict} if verdict else {name: run.verdict for name, run in runs.items()}
    parts += [_verdict(name if several else "", said) for name, said in verdicts.items() if said]
    comparable = _same_panel(runs)
    for attribution in dict.fromkeys(name for run in comparable.values() for name in run.frames):
        showing = {name: run for name, run in comparable.items() if run.frames.get(attribution)}
        parts.append(f"<h2>Where the model looks: {escape(attribution)}</h2>")
        parts.append(
            '<p class="note">Each map is drawn relative to its own maximum. Below it: the prediction, and the share of the '
            "map that lies on the spurious marks. A click on a legend entry hides the outlines.</p>"
        )
        parts.append(_figure(panel_figure(showing, attribution)))
    if any(run.curves or run.panel for run in runs.values()):
        parts += ["<h2>Numbers over the epochs</h2>", _figure(curves_figure(runs))]
    for name, run in runs.items():
        parts += _sanity(f"Can the maps be trusted?{f' ({name})' if several else ''}", run)
    for name, run in runs.items():
        if run.config:
            heading = "Configuration" + (f" ({name})" if several else "")
            parts.append(f"<details><summary>{escape(heading)}</summary><pre>{escape(run.config)}</pre></details>")
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><link rel="icon" href="data:,"><title>{escape(title)}</title>'
    from plotly.offline import get_plotlyjs  # half a second, for who writes a page only

    head += f"<style>{_STYLE}</style><script>{get_plotlyjs()}</script>"
    return f"<!DOCTYPE html>\n<html><head>{head}</head>\n<body>\n{body}\n</body></html>\n"


def _verdict(name: str, said: Verdict) -> str:
    return f'<p class="verdict">{f"<b>{escape(name)}:</b> " if name else ""}{escape(str(said))}</p>'


def _figure(figure: Figure) -> str:
    config = {"displayModeBar": False, "responsive": True}
    import plotly.io

    return plotly.io.to_html(figure, config, auto_play=False, include_plotlyjs=False, full_html=False, validate=False)


def _sanity(heading: str, run: History) -> list[str]:
    if not run.sanity:
        return []
    parts = [f"<h2>{escape(heading)}</h2>"]
    parts += [
        f'<p class="objection"><b>{escape(name)}</b> is not to be trusted on this model: {escape(objection)}.</p>'
        for name, check in run.sanity.items()
        for objection in check.objections()
    ]
    note = (
        "Left: how much the maps still resemble themselves after the layers' parameters are shuffled, from the output on; "
        "they should not. Middle and right: the probability of the prediction as places are replaced by the mean, or put "
        "back, the most salient first; a faithful map falls, or rises, before the dotted line of random places."
    )
    return [*parts, f'<p class="note">{note}</p>', _figure(sanity_figure(run))]


def _same_panel(runs: Mapping[str, History]) -> dict[str, History]:
    """The runs that can be shown side by side with the first that has a panel."""
    drawn = {name: run for name, run in runs.items() if run.frames}
    first = next(iter(drawn.values()), None)
    return {name: run for name, run in drawn.items() if first is not None and _equal(run.images, first.images)}


def _equal(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return len(ours) == len(theirs) and all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
