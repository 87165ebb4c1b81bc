"""The figures of a report, as plotly draws them: dictionaries of its schema, which are far faster to make than its objects."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from salreg.history import Frame, History
from salreg.plotting.report_cells import Cells, Figure, cells_of, hidden_axis, legend

_WIDTH = 1280  # pixels
_PLOT = 200
_LONGEST_LABEL = 20
_FONT = {"family": "system-ui, sans-serif", "size": 12}
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def panel_figure(runs: Mapping[str, History], attribution: str) -> Figure:
    """The panel under a slider of epochs: each sample, and its map in each run, marked regions outlined.

    Args:
        runs: By name; their panels hold the same samples. A name is written only where there are several.
        attribution: What is shown; each run has frames of it.

    Returns:
        A figure of plotly's schema. At an epoch without a snapshot, a run shows its last one before.
    """
    first = next(iter(runs.values()))
    drawn = cells_of(first, attribution)
    columns = [None, *runs] if drawn.alone else list(runs)
    cells = [(sample, run) for sample in range(len(first.images)) for run in columns]
    layout = _grid(cells, len(columns), drawn, text_lines=min(len(runs), 2) + (not drawn.alone))
    stills: list[Figure] = []
    for index, (sample, run) in enumerate(cells):
        here = {"xref": _reference("x", index), "yref": _reference("y", index)}
        background = drawn.background(sample, dimmed=run is not None)
        layout["images"] += [background | here] if background else []
        stills += [trace | _on_axes(index) for trace in drawn.outlines(sample)]
        if run is None:
            layout[_axis("x", index)]["title"] = {"text": _text(_short(first.labels[sample]))}
    maps = [(index, sample, run) for index, (sample, run) in enumerate(cells) if run is not None]
    epochs = sorted({frame.epoch for run in runs.values() for frame in run.frames[attribution]})
    frames: list[Figure] = []
    for epoch in epochs:
        shown = {name: _latest(run.frames[attribution], epoch) for name, run in runs.items()}
        traces = [drawn.trace(shown[run], sample) | _on_axes(index) for index, sample, run in maps]
        titles = {
            _axis("x", index): {
                "title": {
                    "text": _title(
                        "" if drawn.alone else first.labels[sample], run if len(runs) > 1 else "", shown[run], sample
                    )
                }
            }
            for index, sample, run in maps
        }
        frames.append({"name": str(epoch), "data": traces, "traces": list(range(len(traces))), "layout": titles})
    for axis, title in frames[-1]["layout"].items():
        layout[axis] = {**layout[axis], **title}
    layout |= {"sliders": [_slider(epochs, layout["width"])], "updatemenus": [_play()]}
    return {"data": [*frames[-1]["data"], *stills, *legend(first.annotations)], "layout": layout, "frames": frames}


def curves_figure(runs: Mapping[str, History]) -> Figure:
    """The numbers of each run over the epochs: accuracy, loss, penalty, spurious saliency, reliance,
    and the rank correlation of the maps with the first ones.

    Args:
        runs: By name; a run has a colour of its own.
    """
    plots = {heading: lines for heading, lines in _lines(runs).items() if lines}
    return _plots([("epoch", heading, lines) for heading, lines in plots.items()])


def sanity_figure(history: History) -> Figure:
    """What the checks at the end of a run found, a colour for each attribution."""
    similarity: list[Figure] = []
    deletion: list[Figure] = []
    insertion: list[Figure] = []
    for (name, check), colour in zip(history.sanity.items(), _COLOURS * len(history.sanity), strict=False):
        layers = [_text(layer) for layer in ("none", *check.similarity)]
        similarity.append(_line(name, colour, "solid", layers, [1.0, *check.similarity.values()]))
        share = np.linspace(0, 1, len(check.deletion)).tolist()
        deletion.append(_line(name, colour, "solid", share, check.deletion))
        insertion.append(_line(name, colour, "solid", share, check.insertion))
    random = next(iter(history.sanity.values()))
    share = np.linspace(0, 1, len(random.random_deletion)).tolist()
    deletion.append(_line("places in random order", "#000000", "dot", share, random.random_deletion))
    insertion.append(_line("places in random order", "#000000", "dot", share, random.random_insertion))
    return _plots(
        [
            ("layers randomised, from the output", "similarity of the maps", similarity),
            ("share of places deleted", "probability", deletion),
            ("share of places put back", "probability", insertion),
        ]
    )


# The panel's parts


def _grid(cells: Sequence[Any], together: int, drawn: Cells, text_lines: int) -> Figure:
    """An empty layout with a small coordinate system per cell, row by row, and room for text below each. The cells of one
    sample stay together."""
    samples = len(cells) // together
    lines = -(-samples // max(1, _WIDTH // (together * (drawn.widest + 6))))
    per_row = -(-samples // lines) * together
    width = min(drawn.widest, _WIDTH // per_row - 6)
    height = drawn.height(width)
    step_x, step_y = width + 6, height + 38 + 15 * text_lines  # plotly sets titles 20 pixels below
    total_x, total_y = per_row * step_x, -(-len(cells) // per_row) * step_y
    layout = {**_blank(total_y + 150), "images": [], "width": total_x + 40}
    layout |= {"margin": {"l": 20, "r": 20, "t": 40, "b": 110}, "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom"}}
    for index, (sample, _) in enumerate(cells):
        row, column = divmod(index, per_row)
        left, top = column * step_x / total_x, 1 - row * step_y / total_y
        x, y = [left + drawn.margin * width / total_x, left + width / total_x], [top - height / total_y, top]
        of_x, of_y = drawn.axes(sample)
        layout[_axis("x", index)] = {**hidden_axis(), "domain": x, "anchor": _reference("y", index), **of_x}
        layout[_axis("y", index)] = {**hidden_axis(), "domain": y, "anchor": _reference("x", index), **of_y}
        layout[_axis("x", index)]["title"] = {"standoff": 4, "font": {"size": 11}}
    return layout


def _on_axes(index: int) -> Figure:
    return {"xaxis": _reference("x", index), "yaxis": _reference("y", index)}


def _slider(epochs: Sequence[int], width: int) -> Figure:
    """Beside the buttons, whose size does not depend on the width."""
    left = 125 / (width - 40)
    now = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    steps = [{"method": "animate", "label": str(epoch), "args": [[str(epoch)], now]} for epoch in epochs]
    shown = {"prefix": "epoch ", "xanchor": "left", "font": {"size": 14}}
    return {"steps": steps, "active": len(epochs) - 1, "currentvalue": shown, "x": left, "len": 1 - left, "pad": {"t": 40}}


def _play() -> Figure:
    go = {"frame": {"duration": 400, "redraw": True}, "transition": {"duration": 0}, "fromcurrent": False}
    stop = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}
    buttons = [
        {"method": "animate", "label": "play", "args": [None, go]},
        {"method": "animate", "label": "stop", "args": [[None], stop]},
    ]
    place = {"x": 0, "y": 0, "xanchor": "left", "yanchor": "top", "pad": {"t": 55, "r": 10}}
    return {"type": "buttons", "direction": "left", "showactive": False, "buttons": buttons, **place}


def _latest(frames: Sequence[Frame], epoch: int) -> Frame:
    return next((frame for frame in reversed(frames) if frame.epoch <= epoch), frames[0])


def _title(label: str, run: str, frame: Frame, sample: int) -> str:
    words = [_text(_short(label))] if label else []
    words += [f"<b>{_text(_short(run))}</b>"] if run else []
    return "<br>".join([*words, _text(_short(frame.caption(sample)))])


# The curves' parts


def _lines(runs: Mapping[str, History]) -> dict[str, list[Figure]]:
    words = {"accuracy": ("acc",), "loss": ("loss",), "penalty": ("salreg/penalty",), "reliance": ("reliance",)}
    headings = ("accuracy", "loss", "penalty", "spurious saliency", "reliance", "similarity to the first map")
    plots: dict[str, list[Figure]] = {heading: [] for heading in headings}
    for (run, history), colour in zip(runs.items(), _COLOURS * len(runs), strict=False):
        prefix = f"{run}: " if len(runs) > 1 else ""
        names = list(dict.fromkeys(name for values in history.curves.values() for name in values))
        if "val/reliance" in names:  # of more samples than the panel's
            names = [name for name in names if not name.startswith("panel/reliance")]
        for heading, parts in words.items():
            for name, look in _styled([n for n in names if any(part in n for part in parts)], colour, len(runs)):
                values = {epoch: logged[name] for epoch, logged in history.curves.items() if name in logged}
                plots[heading].append(_line(prefix + name, *look, list(values), list(values.values())))
        explained = list(dict.fromkeys(row["attribution"] for row in history.panel))
        for heading, number in (
            ("spurious saliency", "spurious_saliency"),
            ("similarity to the first map", "rank_correlation_to_first"),
        ):
            for name, look in _styled(explained, colour, len(runs)):
                values = history.series(name, number)
                if values:
                    plots[heading].append(_line(prefix + name, *look, list(values), list(values.values())))
    return plots


def _styled(names: Iterable[str], colour: str, runs: int) -> list[tuple[str, tuple[str, str]]]:
    """One run's lines differ in colour; those of several have the run's colour, and differ in their dashes."""
    if runs > 1:
        return [(name, (colour, _DASHES[index % len(_DASHES)])) for index, name in enumerate(names)]
    return [(name, (_COLOURS[index % len(_COLOURS)], "solid")) for index, name in enumerate(names)]


def _line(name: str, colour: str, dash: str, x: Sequence[Any], y: Sequence[float]) -> Figure:
    line = {"color": colour, "dash": dash, "width": 2}
    values = [None if not math.isfinite(value) else value for value in y]
    return {"type": "scatter", "mode": "lines+markers", "name": _text(name), "line": line, "x": list(x), "y": values}


def _plots(plots: Sequence[tuple[str, str, list[Figure]]]) -> Figure:
    """Up to three plots a row, each of what is right, what is up and its lines, with a legend of its own below."""
    columns = 3
    rows = [plots[start : start + columns] for start in range(0, len(plots), columns)]
    heights = [_PLOT + 80 + 17 * max(len(lines) for _, _, lines in row) for row in rows]
    total = sum(heights) or 1
    layout = {**_blank(total + 20), "width": _WIDTH, "showlegend": True, "margin": {"l": 60, "r": 20, "t": 20, "b": 0}}
    data = []
    for index, (right, up, lines) in enumerate(plots):
        row, column = divmod(index, columns)
        top = 1 - sum(heights[:row]) / total
        x, y = [column / columns, (column + 0.82) / columns], [top - _PLOT / total, top]
        layout[_axis("x", index)] = {"title": {"text": right, "standoff": 4}, "domain": x, "anchor": _reference("y", index)}
        layout[_axis("y", index)] = {
            "title": {"text": up},
            "domain": y,
            "anchor": _reference("x", index),
            "rangemode": "tozero",
        }
        legend = f"legend{index + 1 if index else ''}"
        layout[legend] = {"x": x[0], "y": y[0] - 55 / total, "yanchor": "top", "font": {"size": 10}}
        place = {"xaxis": _reference("x", index), "yaxis": _reference("y", index), "legend": legend}
        data += [line | place for line in lines]
    return {"data": data, "layout": layout}


# Plotly's words


def _blank(height: int) -> Figure:
    return {"height": height, "font": _FONT, "paper_bgcolor": "white", "plot_bgcolor": "white", "margin": {"t": 20, "r": 20}}


def _axis(letter: str, index: int) -> str:
    return f"{letter}axis{index + 1 if index else ''}"


def _reference(letter: str, index: int) -> str:
    return f"{letter}{index + 1 if index else ''}"


def _text(words: str) -> str:
    """Plotly reads tags in its texts."""
    return escape(words)


def _short(words: str) -> str:
    return words if len(words) <= _LONGEST_LABEL else words[: _LONGEST_LABEL - 1] + "…"
