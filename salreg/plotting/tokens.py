"""Draws a text whose words are coloured by their saliency, as a picture or as HTML."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from salreg.plotting.colours import RELEVANT_COLOUR, SPURIOUS_COLOUR, WORDS, colour_map, css, rgb
from salreg.plotting.fonts import font
from salreg.plotting.sentences import foremost

_GAP = "…"  # in place of omitted sentences
_SIZE, _LINE = 11, 18  # pixels


def draw_tokens(
    words: Sequence[str],
    saliency: Tensor | None,
    annotation: Tensor,
    limit: float,
    width: int,
    shown: Sequence[int] | None = None,
) -> Any:
    """Draw a text, word by word, on a background that is darker for more salient words. Marked words are underlined, spurious
    ones in sky blue, relevant ones in green. If the text is long, only the marked and the most salient sentences are drawn.

    Args:
        words: One word per token.
        saliency: ``(T,)``, at least 0; None draws the text alone.
        annotation: ``(T,)``; places with ``NO_PLACE`` are not drawn.
        limit: The saliency that gets the darkest background.
        width: The width in pixels; the text is wrapped.
        shown: The tokens to draw; by default ``salreg.plotting.sentences.foremost``.

    Returns:
        ``uint8`` array ``(height, width, 3)``.

    Example:
        >>> import torch
        >>> draw_tokens(["a", "film"], torch.rand(2), torch.tensor([0, -1]), limit=1.0, width=100).shape
        (18, 100, 3)
    """
    letters = font(_SIZE)
    placed, x, y = [], 0, 0
    for token in _with_gaps(words, saliency, annotation, shown):
        length = min(int(letters.getlength(_GAP if token is None else words[token])) + 4, width)
        if x and x + length > width:
            x, y = 0, y + _LINE
        placed.append((token, x, y, length))
        x += length + 1
    picture = Image.new("RGB", (width, y + _LINE), "white")
    pen = ImageDraw.Draw(picture)
    for token, x, y, length in placed:
        if token is None:
            pen.text((x + 2, y + 1), _GAP, font=letters, fill="gray")
            continue
        strength = 0.0 if saliency is None else _strength(saliency, token, limit)
        ground = colour_map(WORDS)(strength)
        pen.rectangle((x, y + 1, x + length - 1, y + _LINE - 4), fill=rgb(ground))
        pen.text((x + 2, y + 1), words[token], font=letters, fill="white" if strength > 0.6 else "black")
        if annotation[token] != 0:
            colour = SPURIOUS_COLOUR if annotation[token] < 0 else RELEVANT_COLOUR
            pen.rectangle((x, y + _LINE - 3, x + length - 1, y + _LINE - 2), fill=rgb(colour))
    return np.asarray(picture)


def tokens_html(words: Sequence[str], saliency: Tensor, annotation: Tensor, limit: float) -> str:
    """The same as HTML; words are shown literally, including tags.

    Example:
        >>> import torch
        >>> tokens_html(["<b>"], torch.ones(1), torch.tensor([-1]), limit=1.0).count("&lt;b&gt;")
        1
    """
    spans = []
    for token in _with_gaps(words, saliency, annotation, None):
        if token is None:
            spans.append(f'<span style="color:gray">{_GAP}</span>')
            continue
        strength = _strength(saliency, token, limit)
        mark = SPURIOUS_COLOUR if annotation[token] < 0 else RELEVANT_COLOUR if annotation[token] > 0 else (1.0, 1.0, 1.0)
        style = f"background:{css(colour_map(WORDS)(strength)[:3])};color:{'white' if strength > 0.6 else 'black'};"
        spans.append(f'<span style="{style}border-bottom:3px solid {css(mark)};padding:1px 2px">{escape(words[token])}</span>')
    return '<div style="font:14px/2 sans-serif">' + " ".join(spans) + "</div>"


def _with_gaps(
    words: Sequence[str], saliency: Tensor | None, annotation: Tensor, shown: Sequence[int] | None
) -> list[int | None]:
    """The tokens that are shown, with None where others are omitted before, between or after them."""
    if shown is None:
        shown = foremost(words, annotation, [] if saliency is None else [saliency])
    there = (annotation.abs() <= 1).nonzero().flatten().tolist()
    found: list[int | None] = []
    chosen = set(shown)
    for token in there:
        if token in chosen:
            found.append(token)
        elif token < len(words) and (not found or found[-1] is not None):
            found.append(None)
    return found


def _strength(saliency: Tensor, token: int, limit: float) -> float:
    share = float(saliency[token]) / limit if limit > 0 else 0.0
    return min(max(share, 0.0), 1.0) if share == share else 0.0
