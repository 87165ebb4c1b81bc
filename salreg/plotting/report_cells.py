"""What a report draws of one sample, in plotly's words: an image under its heat map, a text by its words, or a row's bars."""

import base64
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from html import escape
from io import BytesIO
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.image import imsave
from torch import Tensor
from torch.nn.functional import adaptive_max_pool1d

from salreg.annotations import marks, places
from salreg.history import Frame, History
from salreg.plotting.bars import column_colour, shown_columns
from salreg.plotting.cell import kind_of
from salreg.plotting.colours import HEAT, RELEVANT_COLOUR, SPURIOUS_COLOUR, WORDS, css
from salreg.plotting.overlay import picture
from salreg.plotting.signal import draw_signal
from salreg.plotting.tokens import MOST_TOKENS

Figure = dict[str, Any]

_HIDDEN = {"showgrid": False, "zeroline": False, "showline": False, "showticklabels": False, "ticks": "", "fixedrange": True}
_LONGEST_SIDE = 256  # pixels of an input image in the page
_WORD, _LINE, _BAR = 68, 20, 16  # pixels: a word's width, and the heights of a line of words and of a bar


class Cells(ABC):
    """The cells of a panel, one for each sample and run.

    Args:
        history: Of a run whose panel is shown.
        attribution: What is shown.
    """

    #: Whether the sample is shown alone, too, before its maps.
    alone = False
    #: How many pixels wide a cell is at most.
    widest = 620
    #: The share of a cell's width that is left for names, on its left.
    margin = 0.0

    def __init__(self, history: History, attribution: str) -> None:
        self.history = history
        self.attribution = attribution

    @abstractmethod
    def height(self, width: int) -> int:
        """Of all cells, in pixels, given their width."""

    @abstractmethod
    def axes(self, sample: int) -> tuple[Figure, Figure]:
        """What is special about a cell's axes."""

    @abstractmethod
    def trace(self, frame: Frame, sample: int) -> Figure:
        """The map."""

    def background(self, sample: int, dimmed: bool) -> Figure | None:
        """An image behind the map."""
        return None

    def outlines(self, sample: int) -> list[Figure]:
        """Lines around the marked regions."""
        return []


def cells_of(history: History, attribution: str) -> Cells:
    """Of the kind that the panel's samples are of."""
    kinds: dict[str, Callable[[History, str], Cells]] = {
        "image": ImageCells, "signal": SignalCells, "text": TextCells, "table": TableCells
    }  # fmt: skip
    return kinds[kind_of(history.images[0])](history, attribution)


class ImageCells(Cells):
    """Heat maps over dimmed images."""

    alone = True
    widest = 150

    def height(self, width: int) -> int:
        return width

    def axes(self, sample: int) -> tuple[Figure, Figure]:
        height, width = self._size(sample)
        return {"range": [0, width]}, {"range": [height, 0]}

    def trace(self, frame: Frame, sample: int) -> Figure:
        """In hundredths of the map's own maximum, one byte each."""
        saliency = _hundredths(frame.saliency[sample]).to(torch.uint8).numpy()
        height, width = self._size(sample)
        dy, dx = height / saliency.shape[0], width / saliency.shape[1]
        return {
            "type": "heatmap", "z": _bytes(saliency), "zmin": 0, "zmax": 100, "colorscale": _HEAT_SCALE, "showscale": False,
            "x0": dx / 2, "dx": dx, "y0": dy / 2, "dy": dy,
            "hovertemplate": "row %{y}, column %{x}: %{z}% of the map's maximum<extra></extra>",
        }  # fmt: skip

    def background(self, sample: int, dimmed: bool) -> Figure:
        height, width = self._size(sample)
        pixels = self.pixels(sample)
        step = max(1, max(pixels.shape[:2]) // _LONGEST_SIDE)
        file = BytesIO()
        imsave(file, np.ascontiguousarray(pixels[::step, ::step]), format="png")
        return {
            "source": "data:image/png;base64," + base64.b64encode(file.getvalue()).decode(),
            "x": 0, "y": 0, "sizex": width, "sizey": height, "sizing": "stretch", "layer": "below",
            "opacity": 0.5 if dimmed else 1.0,
        }  # fmt: skip

    def pixels(self, sample: int) -> Any:
        """The sample alone, ``(height, width, 3)``."""
        return picture(self.history.images[sample])

    def outlines(self, sample: int) -> list[Figure]:
        return _outlines(self.history.annotations[sample].reshape(self._size(sample)))

    def _size(self, sample: int) -> tuple[int, int]:
        annotation = self.history.annotations[sample]
        return annotation.shape[-2], annotation.shape[-1]


class SignalCells(ImageCells):
    """Curves under heat that is the same from top to bottom."""

    alone = False
    widest = 310

    def height(self, width: int) -> int:
        return width // 3

    def pixels(self, sample: int) -> Any:
        return draw_signal(self.history.images[sample], None, self.history.annotations[sample], 1.0, _LONGEST_SIDE, 64)

    def outlines(self, sample: int) -> list[Figure]:
        marks = self.history.annotations[sample].float().reshape(1, -1)
        relevant, spurious = (adaptive_max_pool1d(one, self._size(sample)[1]).clamp(min=0) for one in (marks, -marks))
        return _outlines(relevant.where(spurious == 0, -spurious))

    def _size(self, sample: int) -> tuple[int, int]:
        return 1, min(self.history.annotations[sample].numel(), _LONGEST_SIDE)


class TextCells(Cells):
    """Words on a grid, on a ground that is the darker the more salient."""

    def __init__(self, history: History, attribution: str) -> None:
        super().__init__(history, attribution)
        self._tokens = [places(mark).nonzero().flatten()[:MOST_TOKENS] for mark in history.annotations]
        self._per_line = 9

    def height(self, width: int) -> int:
        self._per_line = max(1, width // _WORD)
        return _LINE * self._lines()

    def axes(self, sample: int) -> tuple[Figure, Figure]:
        return {"range": [0, self._per_line]}, {"range": [self._lines(), 0]}

    def trace(self, frame: Frame, sample: int) -> Figure:
        tokens, words = self._tokens[sample], self.history.names[sample]
        shares = _hundredths(frame.saliency[sample])[0][tokens].int().tolist()
        shown = [escape(_short(words[token])) for token in tokens.tolist()]
        return {
            "type": "heatmap", "z": self._gridded(shares, None), "text": self._gridded(shown, ""), "texttemplate": "%{text}",
            "textfont": {"size": 10}, "zmin": 0, "zmax": 100, "colorscale": _WORD_SCALE, "showscale": False,
            "x0": 0.5, "dx": 1, "y0": 0.5, "dy": 1, "xgap": 2, "ygap": 2, "hoverongaps": False,
            "hovertemplate": "%{text}: %{z}% of the map's maximum<extra></extra>",
        }  # fmt: skip

    def outlines(self, sample: int) -> list[Figure]:
        signs = self.history.annotations[sample][self._tokens[sample]].float().sign().tolist()
        return _outlines(torch.tensor(self._gridded(signs, 0.0)))

    def _lines(self) -> int:
        return max(1, *(-(-len(tokens) // self._per_line) for tokens in self._tokens))

    def _gridded(self, values: list[Any], empty: Any) -> list[list[Any]]:
        values = values + [empty] * (self._lines() * self._per_line - len(values))
        return [values[start : start + self._per_line] for start in range(0, len(values), self._per_line)]


class TableCells(Cells):
    """A bar for each column."""

    widest = 310
    margin = 0.45

    def __init__(self, history: History, attribution: str) -> None:
        super().__init__(history, attribution)
        last = history.frames[attribution][-1].saliency
        self._columns = shown_columns(torch.stack([one.float() for one in last]).mean(0), history.annotations[0])

    def height(self, width: int) -> int:
        return _BAR * len(self._columns)

    def axes(self, sample: int) -> tuple[Figure, Figure]:
        names = [escape(_short(self.history.names[sample][column], 22)) for column in self._columns]
        ticks = {"tickvals": list(range(len(names))), "ticktext": names, "showticklabels": True, "tickfont": {"size": 9}}
        return {"range": [0, 100]}, {"range": [len(names) - 0.5, -0.5], "automargin": False, "ticklabelstandoff": 3, **ticks}

    def trace(self, frame: Frame, sample: int) -> Figure:
        shares = _hundredths(frame.saliency[sample])[0][self._columns].int().tolist()
        colours = [css(column_colour(self.history.annotations[sample], column)) for column in self._columns]
        return {
            "type": "bar", "orientation": "h", "x": shares, "y": list(range(len(shares))), "marker": {"color": colours},
            "showlegend": False, "hovertemplate": "%{x}% of the map's maximum<extra></extra>",
        }  # fmt: skip


def legend(annotations: Sequence[Tensor]) -> list[Figure]:
    """Entries that show and hide all outlines of a kind."""
    kinds = (("spurious", SPURIOUS_COLOUR), ("relevant", RELEVANT_COLOUR))
    present = [(key, colour) for key, colour in kinds if any(getattr(marks(one), key).any() for one in annotations)]
    return [_key(key, colour) | {"x": [None], "y": [None], "xaxis": "x", "yaxis": "y"} for key, colour in present]


def hidden_axis() -> Figure:
    """An axis of which nothing is seen."""
    return dict(_HIDDEN)


def _short(word: str, longest: int = 11) -> str:
    return word if len(word) <= longest else word[: longest - 1] + "…"


def _hundredths(saliency: Tensor) -> Tensor:
    """Of the map's own maximum; two axes."""
    saliency = saliency.float().nan_to_num()
    saliency = saliency.view(-1, saliency.shape[-1])
    return (saliency / saliency.max().clamp(min=1e-30) * 100).round()


def _outlines(annotation: Tensor) -> list[Figure]:
    traces = []
    for key, marked, colour in (("spurious", annotation < 0, SPURIOUS_COLOUR), ("relevant", annotation > 0, RELEVANT_COLOUR)):
        if marked.any():
            x, y = _border(marked)
            traces.append(_key(key, colour) | {"x": x, "y": y, "showlegend": False})
    return traces


def _key(kind: str, colour: tuple[float, ...]) -> Figure:
    line = {"color": css(colour), "width": 2}
    return {
        "type": "scatter",
        "mode": "lines",
        "line": line,
        "name": f"marked {kind}",
        "legendgroup": kind,
        "hoverinfo": "skip",
    }


def _border(marked: Tensor) -> tuple[list[Any], list[Any]]:
    """The edges between marked and other cells, as pieces of a line with gaps between them."""
    padded = torch.nn.functional.pad(marked.to(torch.int8), (1, 1, 1, 1))
    x: list[Any] = []
    y: list[Any] = []
    for row, column in (padded[1:, :] != padded[:-1, :]).nonzero().tolist():
        x += [column - 1, column, None]
        y += [row, row, None]
    for row, column in (padded[:, 1:] != padded[:, :-1]).nonzero().tolist():
        x += [column, column, None]
        y += [row - 1, row, None]
    return x, y


def _bytes(values: Any) -> Figure:
    encoded = base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
    return {"dtype": "u1", "bdata": encoded, "shape": ", ".join(map(str, values.shape))}


_HEAT_SCALE = [[level / 10, css(colormaps[HEAT](level / 10)[:3], 0.6 + 0.04 * level)] for level in range(11)]
_WORD_SCALE = [[level / 10, css(colormaps[WORDS](level / 10)[:3])] for level in range(11)]
