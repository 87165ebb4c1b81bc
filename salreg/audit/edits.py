"""Changing words of a text: terms put in, and the same done to random words for comparison."""

import random
import re
from collections.abc import Sequence

from salreg.annotations.counterparts import Mention

_WORD = re.compile(r"\S+")


def with_term(text: str, term: str, place: float) -> str:
    """A text with a term put between two of its words.

    Args:
        text: Where to.
        term: What.
        place: In [0, 1): before the first word at 0, towards the last one at 1. The end is left out, as a full stop is there.

    Example:
        >>> with_term("a  fine film", "gay", 0.5)
        'a  gay fine film'
    """
    starts = [found.start() for found in _WORD.finditer(text)] or [len(text)]
    at = starts[int(place * len(starts))]
    return f"{text[:at]}{term} {text[at:]}" if text else term


def with_words_exchanged(text: str, mentions: Sequence[Mention], words: Sequence[str], rng: random.Random) -> str:
    """A text with as many other words exchanged for random ones, or taken out where there are none, as it has mentions.

    Args:
        text: Where.
        mentions: The words that stay.
        words: What comes in their place; empty to take them out.
        rng: Where the random numbers come from.
    """
    places = [found.span() for found in _WORD.finditer(text)]
    free = [(start, end) for start, end in places if not any(start < m.span[1] and end > m.span[0] for m in mentions)]
    for start, end in sorted(rng.sample(free, min(len(mentions), len(free))), reverse=True):
        new = rng.choice(words) if words else ""
        text = text[:start] + new + text[end:].removeprefix("" if new else " ")
    return text.strip() if not words else text


def vocabulary(texts: Sequence[str]) -> list[str]:
    """The words of texts, as often as they occur, without those that are signs alone."""
    return [word for text in texts for word in _WORD.findall(text) if any(letter.isalpha() for letter in word)]
