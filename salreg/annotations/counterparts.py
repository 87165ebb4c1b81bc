"""Terms that name groups of people or things, and their counterparts: he and she, names by group."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Literal, NamedTuple

from salreg import checks
from salreg.names import nearest

Span = tuple[int, int]
#: ``{"gender": {"female": ["she", "woman"], "male": ["he", "man"]}, "faith": ["muslim", "christian"]}``: each group's terms in
#: the same order, or a list of terms that are a group each.
Axes = Mapping[str, Mapping[str, Sequence[str]] | Sequence[str]]

_ENDINGS = r"(?:['’]s|s['’]?|es)?"  # of English nouns; verbs' would find "she" in "shed"
_PLURAL = re.compile(r"(?:s|x|z|ch|sh)$", re.IGNORECASE)
_CONSONANT_Y = re.compile(r"[^aeiou]y$", re.IGNORECASE)


class Mention(NamedTuple):
    """A term that was found in a text.

    Attributes:
        group: The group it names.
        term: The term as spelled in the lexicon.
        span: ``(start, end)`` in characters, the end excluded, with the word's ending.
    """

    group: str
    term: str
    span: Span


class Counterparts:
    """A lexicon of groups on one or more axes, where each term of a group has counterparts in the other groups.

    The k-th term of a group has the k-th term of each other group of its axis as its counterpart. A term that is listed more
    than once in a group (``her`` for ``his`` and for ``him``) takes its first counterpart. Upper case is kept, and with
    ``match="stem"`` also the ending of an English noun; list irregular forms as separate terms. Articles are not adapted.

    Args:
        axes: For each axis, its groups with their terms: words or phrases. A list of terms is short for groups of one term
            each, named after it.
        match: ``word``: the whole word; ``stem``: also its plural and genitive (``Muslims``, ``lady's``).

    Attributes:
        axes: The terms by axis and group.

    Raises:
        TypeError: The terms are a single string.
        ValueError: An axis has fewer than two groups, its groups have different numbers of terms, a term is empty, or a term is
            in two groups of an axis.

    Example:
        >>> people = Counterparts({"gender": {"female": ["she", "woman"], "male": ["he", "man"]}, "faith": ["muslim", "jew"]})
        >>> people.exchanged("She met a man. SHE", "gender", "female", "male")
        'He met a woman. HE'
        >>> people.exchanged("Muslims' food", "faith", "muslim", "jew")
        "Jews' food"
    """

    def __init__(self, axes: Axes, match: Literal["word", "stem"] = "stem") -> None:
        checks.choice(("word", "stem"), match=match)
        if not axes:
            raise ValueError("A lexicon needs at least one axis: {'gender': {'female': ['she'], 'male': ['he']}}.")
        self.match = match
        self.axes = {name: _groups(name, groups) for name, groups in axes.items()}

    def __str__(self) -> str:
        return "; ".join(f"{axis}: {', '.join(groups)}" for axis, groups in self.axes.items())

    def terms(self, axis: str, group: str | None = None) -> list[str]:
        """The terms of a group, or of all groups of an axis.

        Raises:
            ValueError: An unknown axis or group; the message suggests the nearest.
        """
        groups = self._axis(axis)
        if group is None:
            return [term for terms in groups.values() for term in terms]
        if group not in groups:
            raise ValueError(f"The axis {axis!r} has no group {group!r}{nearest(group, groups)}. It has: {', '.join(groups)}.")
        return groups[group]

    def mentions(self, text: str, axis: str) -> list[Mention]:
        """The terms of an axis that occur in a text, in order; of overlapping terms, the longest.

        Example:
            >>> Counterparts({"faith": ["muslim", "jew"]}).mentions("Two Muslims", "faith")
            [Mention(group='muslim', term='muslim', span=(4, 11))]
        """
        return [Mention(group, term, found.span()) for group, term, found, _ in self._found(text, axis)]

    def exchanged(self, text: str, axis: str, one: str, other: str) -> str:
        """The text with the terms of two groups exchanged; unchanged if it has none of them.

        Raises:
            ValueError: An unknown axis or group.
        """
        sides = {one: (self.terms(axis, one), self.terms(axis, other)), other: (self.terms(axis, other), self.terms(axis, one))}

        def counterpart(group: str, term: str, written: str, ending: str) -> str:
            if group not in sides:
                return written
            own, others = sides[group]
            return _cased_as(written, _with_ending(others[own.index(term)], ending))

        return self._replaced(text, axis, counterpart)

    def counterparts(self, text: str, axis: str) -> Iterator[tuple[str, str, str]]:
        """``(group, other group, text with the two exchanged)`` for every group that a text names."""
        named = {mention.group for mention in self.mentions(text, axis)}
        for one, other in combinations(self._axis(axis), 2):
            for group, to in ((one, other), (other, one)):
                if group in named:
                    yield group, to, self.exchanged(text, axis, group, to)

    def removed(self, text: str, axis: str, group: str) -> str:
        """The text without the terms of a group, and without one space next to each.

        Example:
            >>> Counterparts({"faith": ["muslim", "jew"]}).removed("Two Muslims met", "faith", "muslim")
            'Two met'
        """
        self.terms(axis, group)
        for mention in reversed(self.mentions(text, axis)):
            if mention.group == group:
                before, after = text[: mention.span[0]], text[mention.span[1] :]
                text = before[:-1] + after if before.endswith(" ") else before + after.removeprefix(" ")
        return text

    def _axis(self, axis: str) -> dict[str, list[str]]:
        if axis not in self.axes:
            raise ValueError(f"There is no axis {axis!r}{nearest(axis, self.axes)}. There are: {', '.join(self.axes)}.")
        return self.axes[axis]

    def _found(self, text: str, axis: str) -> Iterator[tuple[str, str, re.Match[str], str]]:
        """The group, the term, its span, and its ending, for each term found."""
        self._axis(axis)
        pattern, owners = self._pattern(axis)
        for found in pattern.finditer(text):
            written = " ".join(found["term"].lower().split())
            group, term = owners[written]
            yield group, term, found, found["ending"] or ""

    def _replaced(self, text: str, axis: str, what: Callable[[str, str, str, str], str]) -> str:
        parts, last = [], 0
        for group, term, found, ending in self._found(text, axis):
            parts += [text[last : found.start()], what(group, term, found.group(), ending)]
            last = found.end()
        return "".join([*parts, text[last:]])

    def _pattern(self, axis: str) -> tuple[re.Pattern[str], dict[str, tuple[str, str]]]:
        groups = tuple((group, tuple(terms)) for group, terms in self.axes[axis].items())
        return _compiled(groups, self.match == "stem")


@lru_cache(maxsize=256)
def _compiled(
    groups: tuple[tuple[str, tuple[str, ...]], ...], stem: bool
) -> tuple[re.Pattern[str], dict[str, tuple[str, str]]]:
    """A pattern of all terms, longest first, and the group and term for each spelling."""
    owners = {term.lower(): (group, term) for group, terms in reversed(groups) for term in reversed(terms)}
    written = {term: re.escape(term) for term in owners}
    if stem:  # lad(y) in ladies
        for term in [one for one in owners if _CONSONANT_Y.search(one)]:
            short = f"{term[:-1]}i"
            owners.setdefault(short, owners[term])
            written.setdefault(short, re.escape(short) + "(?=es)")
    ordered = sorted(owners, key=len, reverse=True)
    terms = "|".join(written[one].replace(r"\ ", r"\s+") for one in ordered)
    ending = _ENDINGS if stem else ""
    return re.compile(rf"(?<!\w)(?P<term>{terms})(?P<ending>{ending})(?!\w)", re.IGNORECASE), owners


def _groups(axis: str, groups: Mapping[str, Sequence[str]] | Sequence[str]) -> dict[str, list[str]]:
    if isinstance(groups, str):
        raise TypeError(f"The axis {axis!r} must be a list of terms or a mapping of groups, not the text {groups!r}.")
    if not isinstance(groups, Mapping):
        groups = {str(term): [str(term)] for term in groups}
    for group, terms in groups.items():
        if isinstance(terms, str):
            raise TypeError(f"The group {group!r} must be a list of terms, not the text {terms!r}: write [{terms!r}].")
    made = {str(group): [" ".join(str(term).split()) for term in terms] for group, terms in groups.items()}
    if len(made) < 2:
        raise ValueError(f"The axis {axis!r} has {len(made)} group; counterparts need another one.")
    sizes = {group: len(terms) for group, terms in made.items()}
    if len(set(sizes.values())) > 1 or not all(sizes.values()):
        said = ", ".join(f"{group} {size}" for group, size in sizes.items())
        raise ValueError(
            f"The groups of {axis!r} have different numbers of terms ({said}); the k-th of one is the counterpart of the k-th "
            "of another. Repeat a term that is the counterpart of several."
        )
    owner: dict[str, str] = {}
    for group, terms in made.items():
        for term in terms:
            if not term:
                raise ValueError(f"A term of the group {group!r} is empty.")
            if owner.setdefault(term.lower(), group) != group:
                raise ValueError(f"{term!r} is in two groups of {axis!r}, {owner[term.lower()]!r} and {group!r}.")
    return made


def _with_ending(term: str, ending: str) -> str:
    """The term with the English ending that another term had, in the form that suits it."""
    low = ending.lower()
    return _plural(term) + low[1:] if low.rstrip("'’") == "s" else _plural(term) if low == "es" else term + low


def _plural(term: str) -> str:
    if _CONSONANT_Y.search(term):
        return f"{term[:-1]}ies"
    return term + ("es" if _PLURAL.search(term) else "s")


def _cased_as(written: str, term: str) -> str:
    """The term in upper case, or with a capital, if another one was written that way."""
    letters = [one for one in written if one.isalpha()]
    if len(letters) > 1 and all(one.isupper() for one in letters):
        return term.upper()
    if letters and letters[0].isupper():
        return term[:1].upper() + term[1:]
    return term
