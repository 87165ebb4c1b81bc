"""The pieces that pages of audits are made of, as HTML."""

import math
from collections.abc import Iterable, Sequence
from html import escape

from salreg.audit import words
from salreg.audit.intervals import Interval

STYLE = """
:root { --ink: #1b1f24; --soft: #5c6670; --line: #d8dee4; --ground: #fff; --bar: #0072b2; --after: #009e73; --control: #8a939c;
  --cut: #fde3dc; --new: #d9f0e6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa4ae; --line: #3a424a; --ground: #14181c;
  --bar: #56b4e9; --after: #3fc79a; --cut: #5a2d22; --new: #1e4a3a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; color: var(--ink); background: var(--ground);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p, li { max-width: 46rem; } .soft { color: var(--soft); } ul { padding-left: 1.2rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; padding: .35rem .6rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; white-space: nowrap; } td.number { white-space: nowrap; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; min-width: 7rem; height: 1rem; } .bounds { stroke: currentColor; stroke-width: 2; }
.before { fill: var(--bar); color: var(--bar); } .after { fill: var(--after); color: var(--after); }
.control { stroke: var(--control); stroke-width: 2; stroke-dasharray: 3 2; }
.pair { border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .8rem; margin: .6rem 0; overflow-wrap: anywhere; }
details { margin: .8rem 0; } summary { cursor: pointer; color: var(--bar); padding: .3rem 0; }
.pair p { margin: .2rem 0; max-width: none; } del, ins { text-decoration: none; border-radius: .2rem; padding: 0 .15rem; }
del { background: var(--cut); } ins { background: var(--new); }
.key span { display: inline-block; margin-right: 1.2rem; } .dot { display: inline-block; width: .7rem; height: .7rem;
  border-radius: 50%; margin-right: .35rem; }
@media (max-width: 40rem) { body { padding: .75rem; } table, thead, tbody, tr, td { display: block; } thead { display: none; }
  tr { border-bottom: 1px solid var(--line); padding: .5rem 0; } td { border: 0; padding: .1rem 0; }
  td[data-name]:not(:empty)::before { content: attr(data-name) ": "; color: var(--soft); } }
"""
_COLOURS = ("before", "after")

_SHORT = 8  # rows of a table that is not folded


def listed(title: str, sentences: Sequence[str]) -> str:
    """A headline and a list below; nothing where there is nothing to say."""
    return f"<h2>{escape(title)}</h2><ul>{''.join(f'<li>{escape(one)}</li>' for one in sentences)}</ul>" if sentences else ""


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose cells are HTML; on a narrow screen its cells stand one below the other, with the names of their columns."""
    head = "".join(f"<th>{escape(one)}</th>" for one in headers)
    body = "".join(
        "<tr>"
        + "".join(f'<td data-name="{escape(name)}">{cell}</td>' for name, cell in zip(headers, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def bars(intervals: Sequence[Interval | None], scale: float, control: Interval | None = None) -> str:
    """A bar with its bounds for each audit, as wide as its share of ``scale``, and a dashed line at what random words do."""
    height = 100 / len(intervals)
    drawn = []
    for number, (one, colour) in enumerate(zip(intervals, _COLOURS, strict=False)):
        if one is None or math.isnan(one.value):
            continue
        value, low, high = (100 * min(edge / scale, 1) for edge in one[:3])
        top, middle = number * height + 5, (number + 0.5) * height
        drawn.append(
            f'<rect class="{colour}" opacity=".45" x="0" y="{top:.0f}%" width="{value:.1f}%" height="{height - 10:.0f}%"/>'
            f'<line class="bounds {colour}" x1="{low:.1f}%" x2="{high:.1f}%" y1="{middle:.0f}%" y2="{middle:.0f}%"/>'
        )
    if control is not None and not math.isnan(control.value):
        at = 100 * min(control.value / scale, 1)
        drawn.append(f'<line class="control" x1="{at:.1f}%" x2="{at:.1f}%" y1="0" y2="100%"/>')
    return f'<svg role="img" aria-label="{numbers(intervals)}">{"".join(drawn)}</svg>'


def scale_of(intervals: Iterable[Interval | None]) -> float:
    """Up to where bars go: a multiple of 10% that holds all shares, and most upper bounds.

    Example:
        >>> scale_of([Interval(0.12, 0.1, 0.14, 9), Interval(0.0, 0.0, 0.9, 1), None])
        0.2
    """
    known = [one for one in intervals if one is not None and not math.isnan(one.value)]
    highs = sorted(one.high for one in known)
    most = max([0.1, *(one.value for one in known), *highs[: len(highs) * 3 // 4]])
    return min(math.ceil(10 * round(most, 6)) / 10, 1.0)


def table_or_folded(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A short table, or a long one that is folded."""
    made = table(headers, rows)
    return made if len(rows) <= _SHORT else folded(title, made)


def folded(title: str, inside: str) -> str:
    """What is seen when somebody asks for it."""
    return f"<details><summary>{escape(title)}</summary>{inside}</details>" if inside else ""


def numbers(intervals: Sequence[Interval | None]) -> str:
    """Shares with their bounds, before and after."""
    return " → ".join("–" if one is None else words.with_bounds(one) for one in intervals)
