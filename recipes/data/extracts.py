"""Texts of a few sentences of a review, of which one is the summary: the first in training, and another one at test time."""

import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch

from salreg.annotations import NO_PLACE, from_token_spans
from salreg.recipes.data.reports import GROUPS
from salreg.recipes.data.texts import Vocabulary
from salreg.recipes.data.token_batches import NO_LABEL, TokenSamples

#: What ends each sentence of a text, and stands nowhere else in it.
STOP = "."
_STOPS = (STOP, "!", "?")
_SENTENCES, _SHORTEST = 3, 5


class Extract(NamedTuple):
    """A text and the sentence that sums it up.

    Attributes:
        sentences: Word by word, each with a full stop at its end.
        summary: Which of them.
        group: One of ``GROUPS``; the lead agrees where the first sentence is the summary.
    """

    sentences: list[list[str]]
    summary: int
    group: str


def extracts(
    reviews: Iterable[tuple[Sequence[str], Sequence[tuple[int, int]]]], size: int, longest: int, seed: int, lead: str
) -> list[Extract]:
    """Texts of three sentences of the same review, of which one holds a reason, and the others nothing of any.

    Args:
        reviews: The words of each, and the spans of its reasons.
        size: How many texts at most.
        longest: Words of a sentence at most.
        seed: Draws sentences and places.
        lead: Where the summary stands; ``agrees``: in front; ``lies``: in half of the texts, and else behind another one;
            ``absent``: anywhere, and no lead is marked.
    """
    rng = random.Random(seed)
    found = []
    for words, reasons in reviews:
        own = [one for one in _sentences(words) if _SHORTEST <= one[1] - one[0] <= longest]
        held = [_held(one, reasons) for one in own]
        others = [words[start:end] for (start, end), count in zip(own, held, strict=True) if not count]
        if len(others) < _SENTENCES - 1:
            continue
        for (start, end), count in zip(own, held, strict=True):
            if 2 * count >= end - start:
                found.append([words[start:end], *rng.sample(others, _SENTENCES - 1)])
    rng.shuffle(found)
    return [_arranged([[*one, STOP] for one in text], lead, rng) for text in found[:size]]


def _arranged(sentences: list[list[str]], lead: str, rng: random.Random) -> Extract:
    """The first sentence at the place of the summary."""
    lies = lead == "lies" and rng.random() < 0.5
    place = 0 if lead != "absent" and not lies else rng.randrange(int(lies), len(sentences))
    summary, *others = sentences
    group = "no lead" if lead == "absent" else "lead lies" if lies else "lead agrees"
    return Extract([*others[:place], summary, *others[place:]], place, group)


def _sentences(words: Sequence[str]) -> list[tuple[int, int]]:
    """Start and end of what stands between stops."""
    stops = [-1, *(place for place, word in enumerate(words) if word in _STOPS), len(words)]
    return [(before + 1, after) for before, after in pairwise(stops)]


def _held(sentence: tuple[int, int], reasons: Sequence[tuple[int, int]]) -> int:
    """How many words of a sentence belong to reasons."""
    start, end = sentence
    return sum(max(0, min(end, last) - max(start, first)) for first, last in reasons)


class Extracts(TokenSamples):
    """Samples as models that tag tokens take them: the text, and as labels whether each token belongs to the summary.

    Args:
        texts: With their summaries.
        vocabulary: Numbers the words, its ``start`` and ``between`` among them.
    """

    def __init__(self, texts: Sequence[Extract], vocabulary: Vocabulary) -> None:
        super().__init__(vocabulary.words)
        for one in texts:
            words = [word for sentence in one.sentences for word in sentence]
            tokens, lengths = vocabulary.numbered([vocabulary.start, *words, vocabulary.between])
            tags = [int(number == one.summary) for number, sentence in enumerate(one.sentences) for _ in sentence]
            self.rows.append({
                "input_ids": tokens,
                "attention_mask": torch.ones_like(tokens),
                "labels": torch.tensor([NO_LABEL, *tags, NO_LABEL]).repeat_interleave(lengths),
                "groups": GROUPS.index(one.group),
            })  # fmt: skip
            if one.group == "no lead":
                self.annotations.append(None)
                continue
            marks = from_token_spans(len(words), spurious=[(0, len(one.sentences[0]))])
            special = marks.new_full((1,), NO_PLACE)
            self.annotations.append(torch.cat([special, marks, special]).repeat_interleave(lengths))
