"""Checks arguments: their type, their range, and the nearest name to a misspelt one.

Arguments are passed by name, so that messages can name them: ``checks.whole(1, steps=steps)``. A wrong type is a ``TypeError``,
a wrong value a ``ValueError``; both say what is expected and what was given.
"""

import math
import reprlib
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import TypeVar

from torch import Tensor, nn

from salreg.names import nearest

_Named = TypeVar("_Named")
_ANY = -math.inf


def whole(least: float = 1, /, *, or_none: bool = False, **given: object) -> None:
    """Check whole numbers of at least ``least``; booleans, and floats such as 1.0, are refused.

    Example:
        >>> whole(1, steps=2.5)
        Traceback (most recent call last):
        TypeError: steps must be a whole number of at least 1, not 2.5.
    """
    expected = "a whole number" + ("" if least == _ANY else f" of at least {least}") + _none(or_none)
    for name, value in given.items():
        if value is None and or_none:
            continue
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise TypeError(f"{name} must be {expected}, not {said(value)}.{_quoted(value)}")
        if value < least:
            raise ValueError(f"{name} must be {expected}, not {value}.")


def number(interval: str = "(-inf, inf)", /, *, or_none: bool = False, **given: object) -> None:
    """Numbers in an interval, written as in mathematics: ``[0, 1)`` holds 0 and not 1. NaN is in none.

    Example:
        >>> number("(0, 1)", keep=1)
        Traceback (most recent call last):
        ValueError: keep must be a number in (0, 1), not 1.
        >>> number("[0, inf)", weight="1.0")
        Traceback (most recent call last):
        TypeError: weight must be a finite number of at least 0, not the text '1.0'. Remove the quotation marks.
    """
    low, high = (float(end) for end in interval[1:-1].split(","))
    expected = _in_words(interval, low, high) + _none(or_none)
    for name, value in given.items():
        if value is None and or_none:
            continue
        if not isinstance(value, Real) or isinstance(value, bool):
            raise TypeError(f"{name} must be {expected}, not {said(value)}.{_quoted(value)}")
        found = float(value)
        above = found >= low if interval[0] == "[" else found > low
        below = found <= high if interval[-1] == "]" else found < high
        if not (above and below):
            raise ValueError(f"{name} must be {expected}, not {value}.")


def flag(**given: object) -> None:
    """True or False, and nothing that merely counts as one: the text 'false' does not mean False."""
    for name, value in given.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, not {said(value)}.")


def text(*, or_none: bool = False, **given: object) -> None:
    """Texts that are not empty."""
    for name, value in given.items():
        if value is None and or_none:
            continue
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a text{_none(or_none)}, not {said(value)}.")
        if not value:
            raise ValueError(f"{name} must be a text{_none(or_none)}, and not an empty one.")


def choice(known: Iterable[str], /, **given: object) -> None:
    """One of several words.

    Example:
        >>> choice(("mean", "max"), reduction="maximum")
        Traceback (most recent call last):
        ValueError: reduction must be mean or max, not 'maximum' (did you mean 'max'?).
    """
    words = list(known)
    for name, value in given.items():
        if not (isinstance(value, str) and value in words):
            quoted = [repr(word) for word in words] if any(" " in word for word in words) else words
            raise ValueError(f"{name} must be {listed(quoted)}, not {_shown(value)}{nearest(str(value), words)}.")


def several(of: str, /, *, or_none: bool = False, **given: object) -> None:
    """Lists, and no text, which would be read letter by letter.

    Example:
        >>> several("attributions", probes="occlusion")
        Traceback (most recent call last):
        TypeError: probes must be a list of attributions, not the text 'occlusion': write ['occlusion'].
    """
    for name, value in given.items():
        if value is None and or_none:
            continue
        if isinstance(value, str):
            raise TypeError(f"{name} must be a list of {of}, not the text {value!r}: write [{value!r}].")
        if not isinstance(value, Sequence):
            raise TypeError(f"{name} must be a list of {of}{_none(or_none)}, not {said(value)}.")


def pair(*, or_none: bool = True, **given: object) -> None:
    """Two whole numbers of at least 1, height and width."""
    for name, value in given.items():
        if value is None and or_none:
            continue
        sizes = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
        if len(sizes) != 2 or not all(isinstance(size, Integral) and int(size) >= 1 for size in sizes):
            raise ValueError(
                f"{name} must be (height, width), two whole numbers of at least 1{_none(or_none)}, not {said(value)}."
            )


def layer(**given: object) -> None:
    """The name of a layer, or the layer itself."""
    for name, value in given.items():
        if not isinstance(value, str | nn.Module):
            raise TypeError(f"{name} must be a layer's name, as in named_modules(), or the layer itself, not {said(value)}.")


def tensor(*, or_none: bool = True, **given: object) -> None:
    """Tensors."""
    for name, value in given.items():
        if not (isinstance(value, Tensor) or (value is None and or_none)):
            raise TypeError(f"{name} must be a tensor{_none(or_none)}, not {said(value)}.")


def fill(**given: object) -> None:
    """What replaces something: a finite number, or a tensor."""
    for name, value in given.items():
        if not isinstance(value, Tensor):
            number("(-inf, inf)", or_none=False, **{name: value})


def listed(words: Sequence[str]) -> str:
    """Words with an "or" before the last.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b or c'
    """
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def said(value: object) -> str:
    """What somebody gave, shortly and with its kind where that is not plain to see.

    Example:
        >>> said("high"), said([1, 2]), said(0.5)
        ("the text 'high'", 'the list [1, 2]', '0.5')
    """
    if isinstance(value, str):
        return f"the text {reprlib.repr(value)}"
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"the {type(value).__name__} {reprlib.repr(value)}"


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str) else said(value)


def _quoted(value: object) -> str:
    """A word for who quoted a number."""
    try:
        found = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return ""
    return " Remove the quotation marks." if math.isfinite(found) else ""


def _none(allowed: bool) -> str:
    return ", or None" if allowed else ""


def _in_words(interval: str, low: float, high: float) -> str:
    if math.isfinite(high):
        return f"a number in {interval}"
    if not math.isfinite(low):
        return "a finite number"
    return f"a finite number {'of at least' if interval[0] == '[' else 'above'} {low:g}"
