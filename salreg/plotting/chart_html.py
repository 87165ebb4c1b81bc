"""Charts as HTML: plotly's data, legends, and the same numbers as a table."""

import json
import math
from collections.abc import Iterable, Sequence
from html import escape

from salreg.plotting.charts import Chart, Line

_PATTERNS = {"solid": "", "dot": "2 3", "dash": "7 4", "dashdot": "7 3 2 3", "longdash": "12 4"}


def charts_html(charts: Sequence[Chart], what: str) -> str:
    """The charts side by side if there is room, with one legend above and the numbers below.

    Args:
        charts: The charts. Their lines have a colour for each run and a dash for each kind, or a colour for each kind.
        what: A description of the numbers for the table's caption.
    """
    runs = {line.run: line.colour for chart in charts for line in chart.lines if line.run}
    legend = _key((name, colour, "solid") for name, colour in runs.items()) if runs else ""
    return f'{legend}<div class="charts">{"".join(map(_figure, charts))}</div>{_numbers(charts, what)}'


def table_html(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str, kind: str = "") -> str:
    """A table that scrolls if there is no room for it; its first column names the rows."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' if name else "<td></td>" for name in header)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<div class="scrolls {kind}" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _figure(chart: Chart) -> str:
    kinds: dict[str, Line] = {}
    for line in chart.lines:
        kinds.setdefault(line.kind, line)
    key = _key((kind, "ink" if line.run else line.colour, line.dash) for kind, line in kinds.items())
    drawn = escape(json.dumps(chart.figure(), allow_nan=False))
    said = escape(f"A chart of {chart.heading} over {chart.right}; its numbers are in the table below")
    return (
        f'<figure><figcaption><h3>{escape(chart.heading)}</h3></figcaption><div class="plot" role="img" aria-label="{said}" '
        f'data-figure="{drawn}"></div>{key}</figure>'
    )


def _key(entries: Iterable[tuple[str, str, str]]) -> str:
    """A legend: a piece of each line with its name."""
    return f'<ul class="key">{"".join(_entry(*entry) for entry in entries)}</ul>'


def _entry(name: str, colour: str, dash: str) -> str:
    stroke = "currentColor" if colour == "ink" else colour
    line = f'<line x1="0" y1="5" x2="28" y2="5" stroke="{stroke}" stroke-width="2.5" stroke-dasharray="{_PATTERNS[dash]}"/>'
    return f'<li><svg width="28" height="10" aria-hidden="true">{line}</svg>{escape(name)}</li>'


def _numbers(charts: Sequence[Chart], what: str) -> str:
    """A table for all charts with the same horizontal axis."""
    parts = []
    for right in dict.fromkeys(chart.right for chart in charts):
        lines = [line for chart in charts if chart.right == right for line in chart.lines]
        columns = [dict(zip(line.x, line.y, strict=True)) for line in lines]
        places = list(dict.fromkeys(place for column in columns for place in column))
        places = sorted(places) if all(isinstance(place, (int, float)) for place in places) else places
        rows = [[_cell(place), *(_cell(column.get(place)) for column in columns)] for place in places]
        header = [right, *(_titled(chart, line) for chart in charts if chart.right == right for line in chart.lines)]
        parts.append(table_html(header, rows, f"{what}, by {right}"))
    return f"<details><summary>The numbers as {'tables' if len(parts) > 1 else 'a table'}</summary>{''.join(parts)}</details>"


def _titled(chart: Chart, line: Line) -> str:
    """A line's name, with its chart's heading if the name alone is unclear."""
    return line.name if "/" in line.kind else f"{line.name}, {chart.heading}"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else f"{value:.4g}"
    return str(value)
