"""The charts of a page as dictionaries of plotly's schema, which are far faster to create than plotly's objects."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from salreg.history import History

#: Okabe and Ito's colours; the page sets that of the ink.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "ink")
DASHES = ("solid", "dot", "dash", "dashdot", "longdash")


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        run: The name of its run; empty if there is only one run.
        kind: The kind of number it shows.
        x: Numbers or words.
        y: As many numbers; NaN leaves a gap.
        colour: A CSS colour, or ``ink`` for the page's own.
        dash: One of plotly's dashes.
    """

    run: str
    kind: str
    x: Sequence[Any]
    y: Sequence[float]
    colour: str
    dash: str = "solid"

    @property
    def name(self) -> str:
        """The line's kind, and its run if there are several."""
        return f"{self.run}: {self.kind}" if self.run else self.kind


@dataclass(frozen=True)
class Chart:
    """A heading, the name of the horizontal axis, and lines."""

    heading: str
    right: str
    lines: Sequence[Line]

    def figure(self) -> dict[str, Any]:
        """The chart as plotly's figure; the page adds the colours of background and ink, and a legend."""
        axis = {"title": {"text": self.right, "standoff": 6}, "automargin": True}
        whole = all(isinstance(x, int) for line in self.lines for x in line.x)
        up = {"rangemode": "tozero", "automargin": True, "tickformat": ".3~g"}
        ticks = {"tickformat": "d", "dtick": 1} if whole and len({x for line in self.lines for x in line.x}) <= 10 else {}
        return {
            "data": [
                {
                    "type": "scatter", "mode": "lines+markers", "name": escape(line.name), "x": list(line.x),
                    "y": [value if math.isfinite(value) else None for value in line.y],
                    "line": {"color": line.colour, "dash": line.dash, "width": 2}, "marker": {"size": 5},
                    "hovertemplate": "%{y:.4g}",
                }
                for line in self.lines
            ],
            "layout": {
                "xaxis": axis | ticks, "yaxis": up, "hovermode": "x unified",
                "showlegend": False, "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            },
        }  # fmt: skip


def curves(runs: Mapping[str, History]) -> list[Chart]:
    """The numbers of each run over the epochs: accuracy, loss, penalty, spurious saliency, reliance, and the rank correlation
    of the maps with the first ones.

    Args:
        runs: The histories by name. Several runs have a colour each and a dash for each kind of number; the kinds of a single
            run have a colour each.
    """
    found: dict[str, dict[tuple[str, str], dict[int, float]]] = {}
    for run, history in runs.items():
        for heading, kind, values in _numbers(history):
            found.setdefault(heading, {})[run, kind] = values
    charts = []
    for heading in (*_LOGGED, *_OF_MAPS):
        lines = found.get(heading, {})
        look = _look(list(runs), list(dict.fromkeys(kind for _, kind in lines)))
        several = len(runs) > 1
        drawn = [
            Line(run if several else "", kind, list(values), list(values.values()), *look(run, kind))
            for (run, kind), values in lines.items()
        ]
        charts += [Chart(heading, "epoch", drawn)] if drawn else []
    return charts


def sanity(history: History) -> list[Chart]:
    """The results of the checks at the end of a run, with a colour for each attribution."""
    similarity, deletion, insertion = [], [], []
    for (name, check), colour in zip(history.sanity.items(), COLOURS * len(history.sanity), strict=False):
        similarity.append(Line("", name, ["none", *check.similarity], [1.0, *check.similarity.values()], colour))
        deletion.append(Line("", name, _shares(check.deletion), check.deletion, colour))
        insertion.append(Line("", name, _shares(check.insertion), check.insertion, colour))
    random = next(iter(history.sanity.values()))
    for lines, values in ((deletion, random.random_deletion), (insertion, random.random_insertion)):
        lines.append(Line("", "places in random order", _shares(values), values, "ink", "dot"))
    return [
        Chart("similarity of the maps", "layers randomised, from the output", similarity),
        Chart("probability, places deleted", "share of places deleted", [line for line in deletion if line.y]),
        Chart("probability, places put back", "share of places put back", [line for line in insertion if line.y]),
    ]


def colours(names: Iterable[str]) -> dict[str, str]:
    """The colour of each run, or of each kind of number if there is only one run."""
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}


#: The logged numbers to draw, by words in their names, and those of the panel.
_LOGGED = {
    "accuracy": ("acc",), "loss": ("loss",), "penalty": ("/penalty",), "reliance": ("reliance",),
}  # fmt: skip
_OF_MAPS = {"spurious saliency": "spurious_saliency", "similarity to the first map": "rank_correlation_to_first"}


def _numbers(history: History) -> Iterable[tuple[str, str, dict[int, float]]]:
    """The heading, the kind and the values by epoch of each number."""
    names = list(dict.fromkeys(name for values in history.curves.values() for name in values))
    twice = {f"{name}{end}" for name in names for end in ("_step", "_epoch")}  # Lightning logs these beside the number itself
    names = [name for name in names if name not in twice]
    if "val/reliance" in names:  # from more samples than the panel
        names = [name for name in names if not name.startswith("panel/reliance")]
    for heading, words in _LOGGED.items():
        for name in (name for name in names if any(word in name for word in words)):
            yield heading, name, {epoch: logged[name] for epoch, logged in sorted(history.curves.items()) if name in logged}
    for heading, number in _OF_MAPS.items():
        for name in dict.fromkeys(row["attribution"] for row in history.panel):
            values = history.series(name, number)
            if values:
                yield heading, name, values


def _look(runs: Sequence[str], kinds: Sequence[str]) -> Callable[[str, str], tuple[str, str]]:
    """The colour and dash of a line."""
    if len(runs) > 1:
        of_run = colours(runs)
        return lambda run, kind: (of_run[run], DASHES[kinds.index(kind) % len(DASHES)])
    of_kind = colours(kinds)
    return lambda run, kind: (of_kind[kind], "solid")


def _shares(curve: Sequence[float]) -> list[float]:
    return np.linspace(0, 1, len(curve)).tolist()
