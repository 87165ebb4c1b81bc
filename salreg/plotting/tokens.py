"""A text whose words are coloured by their saliency: as a picture, and as HTML."""

from collections.abc import Iterator, Sequence
from functools import cache
from html import escape
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from salreg.annotations import places
from salreg.plotting.colours import RELEVANT_COLOUR, SPURIOUS_COLOUR, WORDS, css

#: Of a longer text, the beginning is drawn.
MOST_TOKENS = 200
_SIZE, _LINE = 11, 18  # pixels


def draw_tokens(words: Sequence[str], saliency: Tensor | None, annotation: Tensor, limit: float, width: int) -> Any:
    """Draw a text, word by word on a ground that is the darker the more salient. Marked words are underlined, spurious ones in
    sky blue, relevant ones in green.

    Args:
        words: One for each token.
        saliency: ``(T,)``, at least 0; None draws the text alone.
        annotation: ``(T,)``; nothing is drawn where there is no place.
        limit: The saliency that gets the darkest ground.
        width: In pixels; the text is wrapped.

    Returns:
        ``uint8`` array ``(height, width, 3)``.

    Example:
        >>> import torch
        >>> draw_tokens(["a", "film"], torch.rand(2), torch.tensor([0, -1]), limit=1.0, width=100).shape
        (18, 100, 3)
    """
    font = _font()
    placed, x, y = [], 0, 0
    for token in _shown(words, annotation):
        length = min(int(font.getlength(words[token])) + 4, width)
        if x and x + length > width:
            x, y = 0, y + _LINE
        placed.append((token, x, y, length))
        x += length + 1
    picture = Image.new("RGB", (width, y + _LINE), "white")
    pen = ImageDraw.Draw(picture)
    for token, x, y, length in placed:
        strength = 0.0 if saliency is None else _strength(saliency, token, limit)
        ground = colormaps[WORDS](strength)
        pen.rectangle((x, y + 1, x + length - 1, y + _LINE - 4), fill=_bytes(ground))
        pen.text((x + 2, y + 1), words[token], font=font, fill="white" if strength > 0.6 else "black")
        if annotation[token] != 0:
            colour = SPURIOUS_COLOUR if annotation[token] < 0 else RELEVANT_COLOUR
            pen.rectangle((x, y + _LINE - 3, x + length - 1, y + _LINE - 2), fill=_bytes(colour))
    return np.asarray(picture)


def tokens_html(words: Sequence[str], saliency: Tensor, annotation: Tensor, limit: float) -> str:
    """The same as HTML; words are shown as they are, tags included.

    Example:
        >>> import torch
        >>> tokens_html(["<b>"], torch.ones(1), torch.tensor([-1]), limit=1.0).count("&lt;b&gt;")
        1
    """
    spans = []
    for token in _shown(words, annotation):
        strength = _strength(saliency, token, limit)
        mark = SPURIOUS_COLOUR if annotation[token] < 0 else RELEVANT_COLOUR if annotation[token] > 0 else (1.0, 1.0, 1.0)
        style = f"background:{css(colormaps[WORDS](strength)[:3])};color:{'white' if strength > 0.6 else 'black'};"
        spans.append(f'<span style="{style}border-bottom:3px solid {css(mark)};padding:1px 2px">{escape(words[token])}</span>')
    return '<div style="font:14px/2 sans-serif">' + " ".join(spans) + "</div>"


def _shown(words: Sequence[str], annotation: Tensor) -> Iterator[int]:
    return (token for token in places(annotation).nonzero().flatten().tolist()[:MOST_TOKENS] if token < len(words))


def _strength(saliency: Tensor, token: int, limit: float) -> float:
    share = float(saliency[token]) / limit if limit > 0 else 0.0
    return min(max(share, 0.0), 1.0) if share == share else 0.0


@cache
def _font() -> Any:
    return ImageFont.truetype(findfont("DejaVu Sans"), _SIZE)


def _bytes(colour: Sequence[float]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in colour[:3])
    return red, green, blue
