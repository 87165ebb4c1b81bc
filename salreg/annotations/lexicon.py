"""Annotations of texts by a list of terms: words (with or without endings), phrases or patterns."""

import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from salreg import checks
from salreg.annotations.signs import RELEVANT, SPURIOUS

Match = Literal["word", "stem", "regex"]
Span = tuple[int, int]

_ENDINGS = r"(?:'s|s'?|es|d|ed|ing|er|ers|ly|ness)?"  # of English words


class MarkedSpans(NamedTuple):
    """Spans of characters ``(start, end)``, the end excluded; ``from_character_spans(offsets, **spans._asdict())``."""

    spurious: list[Span]
    relevant: list[Span]


class Lexicon:
    """Finds terms in texts, ignoring case, and counts how often it found each.

    Args:
        spurious: Terms that the model must not use: words, or phrases (``transgender people``).
        relevant: Terms that it should use.
        match: ``word``: the whole word, also next to punctuation and hyphens (``gay`` in ``Gay,`` and ``black`` in
            ``Black-and-white``); ``stem``: also with an English ending (``muslim`` in ``Muslims``); ``regex``: the terms are
            regular expressions.

    Attributes:
        counts: How often each term has been found so far.

    Raises:
        TypeError: The terms are a single string.
        ValueError: A term is empty, a pattern is invalid, or a term is in both lists.

    Example:
        >>> lexicon = Lexicon(spurious=["muslim", "transgender people"], match="stem")
        >>> lexicon.annotate([["Muslims", "met", "transgender", "people."]])[0].tolist()
        [-1, 0, -1, -1]
        >>> lexicon.counts["muslim"]
        1
    """

    def __init__(self, *, spurious: Collection[str] = (), relevant: Collection[str] = (), match: Match = "word") -> None:
        checks.choice(("word", "stem", "regex"), match=match)
        for name, terms in (("spurious", spurious), ("relevant", relevant)):
            if isinstance(terms, str):
                raise TypeError(f"{name} must be a list of terms, not the text {terms!r}: write [{terms!r}].")
        both = {term.lower() for term in spurious} & {term.lower() for term in relevant}
        if both:
            raise ValueError(f"{sorted(both)[0]!r} is in both lists, spurious and relevant.")
        self._patterns = [
            (term, _pattern(term, match), value)
            for terms, value in ((spurious, SPURIOUS), (relevant, RELEVANT))
            for term in dict.fromkeys(terms)
        ]
        self.counts: Counter[str] = Counter({term: 0 for term, _, _ in self._patterns})

    def spans(self, text: str) -> MarkedSpans:
        """The spans of the terms in a text.

        Example:
            >>> Lexicon(spurious=["gay"]).spans("Gay, and proud").spurious
            [(0, 3)]
        """
        found = MarkedSpans([], [])
        for term, pattern, value in self._patterns:
            matches = [one.span() for one in pattern.finditer(text) if one.end() > one.start()]
            self.counts[term] += len(matches)
            (found.spurious if value == SPURIOUS else found.relevant).extend(matches)
        return found

    def words(self, words: Sequence[str]) -> Tensor:
        """The annotation ``(T,)`` of a text that is given word by word.

        Raises:
            TypeError: The text is a single string.
            ValueError: A word is marked on both sides.
        """
        if isinstance(words, str):
            raise TypeError(
                "Words must be a list of strings, not one string: use text.split(), or for a tokenised text "
                "from_character_spans(offsets, **Lexicon(...).spans(text)._asdict())."
            )
        ends = torch.tensor([len(word) + 1 for word in words]).cumsum(0).tolist()
        starts = [0, *ends[:-1]]
        spans, annotation = self.spans(" ".join(words)), torch.zeros(len(words), dtype=torch.int8)
        for value, marked in ((SPURIOUS, spans.spurious), (RELEVANT, spans.relevant)):
            for start, end in marked:
                for number, (first, last) in enumerate(zip(starts, ends, strict=True)):
                    if start < last - 1 and end > first:
                        if annotation[number] == -value:
                            raise ValueError(f"Word {number}, {words[number]!r}, is marked both spurious and relevant.")
                        annotation[number] = value
        return annotation

    def annotate(self, texts: Iterable[Sequence[str]]) -> list[Tensor]:
        """The annotations of many texts, each given word by word; warns about terms that were not found (see ``check``)."""
        annotations = [self.words(text) for text in texts]
        self.check()
        return annotations

    def check(self) -> None:
        """Warn about terms that were not found so far.

        Raises:
            ValueError: None of the terms was found.
        """
        missing = [term for term, count in self.counts.items() if not count]
        remedy = "match='stem' also finds words with endings, match='regex' finds patterns."
        if self.counts and len(missing) == len(self.counts):
            raise ValueError(f"None of the {len(missing)} terms was found ({checks.listed(missing[:5])}). {remedy}")
        if missing:
            warnings.warn(
                f"{len(missing)} of {len(self.counts)} terms were not found: {checks.listed(missing[:10])}. {remedy}",
                stacklevel=3,
            )


def from_lexicon(
    words: Sequence[str], *, spurious: Collection[str] = (), relevant: Collection[str] = (), match: Match = "word"
) -> Tensor:
    """Mark the words of one text that are in a list, ignoring case. For many texts use a ``Lexicon``, which counts.

    Args:
        words: The text, word by word.
        spurious: Words or phrases that the model must not use.
        relevant: Words or phrases that it should use.
        match: See ``Lexicon``.

    Returns:
        ``int8`` tensor ``(T,)``.

    Raises:
        TypeError: The text, or a list of words, is a single string.
        ValueError: A word is in both lists.

    Example:
        >>> from_lexicon(["He,", "a", "gay-rights", "man"], spurious={"he", "gay"}).tolist()
        [-1, 0, -1, 0]
    """
    return Lexicon(spurious=spurious, relevant=relevant, match=match).words(words)


def _pattern(term: str, match: Match) -> re.Pattern[str]:
    if match == "regex":
        try:
            return re.compile(term, re.IGNORECASE)
        except re.error as error:
            raise ValueError(f"{term!r} is not a regular expression: {error}.") from error
    pieces = term.split()
    if not pieces:
        raise ValueError("A term is empty.")
    inside = r"\s+".join(re.escape(piece) for piece in pieces)
    if match == "stem":
        inside = f"{inside[:-1]}(?:y{_ENDINGS}|ies|ied)" if inside.lower().endswith("y") else inside + _ENDINGS
    return re.compile(rf"(?<!\w){inside}(?!\w)", re.IGNORECASE)
