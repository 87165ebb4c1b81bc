"""Texts, and the places in them where words may be put."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from salreg.annotations import places
from salreg.rng import Rng


class Texts(NamedTuple):
    """A batch of texts.

    Attributes:
        tokens: Numbers ``(B, T)``.
        annotation: ``(B, T)``, ``NO_PLACE`` at padding and special tokens.
        padding: Booleans ``(B, T)``.
        beside: Other tensors ``(B, T)`` that move with the tokens: masks, token types.
        labels: Tensors with a label for every token, which inserted tokens bring along.
        spans: Places of tokens ``(B,)``: where an answer starts and ends.
        kept: Which texts were left unchanged, booleans ``(B,)``, because their answer would have been lost.
        stops: Tokens that end a sentence, which is never cut in two to put something in.
    """

    tokens: Tensor
    annotation: Tensor
    padding: Tensor
    beside: list[Tensor]
    labels: Sequence[Tensor] = ()
    spans: Sequence[Tensor] = ()
    kept: Tensor | None = None
    stops: Sequence[int] = ()


def random_places(texts: Texts, start: Tensor, like: Tensor, rng: Rng, moves: bool) -> tuple[Tensor, Tensor]:
    """Before which word of each text, or behind the last one, something may be put: places ``(B, R)``, and keys beside them.

    Unless everything moves, a text without spans takes the places of another one, in proportion to its number of words: what is
    put in is no more at random in its text than what has always been there.

    Words that are marked themselves are none of them, and neither are those behind the first of an answer. Of two texts with a
    special token between them, such as a question and what is asked about, it is the marked one, or else the answer's. In a
    text with stops, it is at the start or behind one of them.

    Args:
        texts: The texts.
        start: The first place of each span of each text ``(B, R)``, -1 where it has none.
        like: The number of the text ``(B,)`` whose places each one takes.
        rng: The random number generator.
        moves: Whether what stays in a text goes to a random place, too.
    """
    there = places(texts.annotation) & ~texts.padding
    words = there & (texts.annotation >= 0)
    here = torch.arange(words.shape[1], device=words.device)
    marked = there & ~words
    anchor, inside = marked.int().argmax(1, keepdim=True), torch.zeros_like(words)
    if len(texts.spans) == 2:
        start, end = (one.unsqueeze(1) for one in texts.spans)
        anchor = torch.where(marked.any(1, keepdim=True), anchor, start.clamp(0, words.shape[1] - 1))
        inside = (here > start) & (here <= end)
    part = (~there).cumsum(1).masked_fill(~there, -1)
    same = words & (part == part.gather(1, anchor))
    same &= marked.any(1, keepdim=True) | (len(texts.spans) == 2)
    words = torch.where(same.any(1, keepdim=True), same, words)
    last = here.expand_as(words).masked_fill(~words, -1).amax(1, keepdim=True)
    at_end = torch.ones_like(last)
    allowed = words & ~inside
    if texts.stops:
        first, at_end = _between_sentences(texts, words, last)
        allowed &= first
    count = allowed.sum(1, keepdim=True)
    drawn = (rng.uniform(tuple(start.shape), like=count.float()) * (count + at_end)).long()
    if not moves:
        share = (allowed.cumsum(1) - allowed.long()).gather(1, start.clamp(min=0)) / (count + at_end - 1).clamp(min=1)
        drawn = torch.where(start[like] >= 0, (share[like] * (count + at_end - 1)).round().long(), drawn)
    order = allowed.int().argsort(dim=1, descending=True, stable=True)
    before = order.gather(1, torch.minimum(drawn, count - 1).clamp(min=0))
    place = torch.where(drawn < count, before, last)
    return place, place + torch.where(drawn < count, -0.5, 0.25)


def _between_sentences(texts: Texts, words: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """Which words are the first of a sentence ``(B, T)``, and whether the last one ends a sentence ``(B, 1)``, 0 or 1; all of
    them in texts without stops."""
    stops = words & torch.isin(texts.tokens, torch.tensor(list(texts.stops), device=words.device))
    here = torch.arange(words.shape[1], device=words.device).expand_as(words)
    before = here.masked_fill(~words, -1).cummax(1).values
    before = torch.cat([torch.full_like(before[:, :1], -1), before[:, :-1]], 1)  # the unmarked word in front of each place
    ended, alone = stops.gather(1, before.clamp(min=0)), ~stops.any(1, keepdim=True)
    return (before < 0) | ended | alone, (stops.gather(1, last.clamp(min=0)) | alone).long()
