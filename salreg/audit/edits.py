"""Changes words of a text: inserts terms and, for comparison, does the same to random words."""

import random
import re
from collections.abc import Sequence

from salreg.annotations.counterparts import Mention

_WORD = re.compile(r"\S+")


def with_term(text: str, term: str, place: float) -> str:
    """Insert a term between two words of a text.

    Args:
        text: The text.
        term: The term to insert.
        place: In [0, 1): 0 is before the first word, and values near 1 before the last. The end is excluded, because a full
            stop is there.

    Example:
        >>> with_term("a  fine film", "gay", 0.5)
        'a  gay fine film'
    """
    starts = [found.start() for found in _WORD.finditer(text)] or [len(text)]
    at = starts[int(place * len(starts))]
    return f"{text[:at]}{term} {text[at:]}" if text else term


def with_words_exchanged(text: str, mentions: Sequence[Mention], words: Sequence[str], rng: random.Random) -> str:
    """Replace as many other words by random ones as the text has mentions, or remove them if ``words`` is empty.

    Args:
        text: The text.
        mentions: The words to keep.
        words: The random words to draw from; empty to remove words instead.
        rng: The random number generator.
    """
    places = [found.span() for found in _WORD.finditer(text)]
    free = [(start, end) for start, end in places if not any(start < m.span[1] and end > m.span[0] for m in mentions)]
    for start, end in sorted(rng.sample(free, min(len(mentions), len(free))), reverse=True):
        new = rng.choice(words) if words else ""
        text = text[:start] + new + text[end:].removeprefix("" if new else " ")
    return text.strip() if not words else text


def vocabulary(texts: Sequence[str]) -> list[str]:
    """The words of texts, repeated as often as they occur, without those that consist only of punctuation."""
    return [word for text in texts for word in _WORD.findall(text) if any(letter.isalpha() for letter in word)]
