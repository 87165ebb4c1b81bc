"""Attributions, losses, scores and presets by name, with their options, and the nearest name to a misspelt one."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from salreg.checks import said
from salreg.names import nearest

_Named = TypeVar("_Named")


def named(kind: str, name: object, known: Mapping[str, _Named]) -> _Named:
    """What goes by a name.

    Args:
        kind: What it is, with its article: ``"an attribution"``.
        name: As the user wrote it.
        known: By name.

    Raises:
        TypeError: Something that is no name.
        ValueError: An unknown name; the nearest are suggested.

    Example:
        >>> named("a colour", "bleu", {"blue": 1, "red": 2})
        Traceback (most recent call last):
        ValueError: No colour is called 'bleu' (did you mean 'blue'?). There are: blue, red.
    """
    if not isinstance(name, str):
        made = " Call it to get an object." if isinstance(name, type) else ""
        raise TypeError(f"{kind[0].upper()}{kind[1:]} must be given by name or as an object, not by {said(name)}.{made}")
    if name not in known:
        what = kind.partition(" ")[2]
        raise ValueError(f"No {what} is called {name!r}{nearest(name, known)}. There are: {', '.join(known)}.")
    return known[name]


def made(kind: str, given: str | Mapping[str, Any], known: Mapping[str, Callable[..., _Named]]) -> _Named:
    """What a name stands for, or a name with options: ``{"name": ..., option: ...}``.

    Args:
        kind: What it is, with its article: ``"an attribution"``.
        given: As the user wrote it.
        known: What makes one, by name.

    Raises:
        TypeError: Something else, or an option of another type.
        ValueError: An unknown name or option; the nearest are suggested.

    Example:
        >>> made("a number", {"name": "power", "base": 2, "exp": 3}, {"power": lambda base, exp: base**exp})
        8
        >>> made("a number", {"name": "power", "exponent": 3}, {"power": lambda base, exp: base**exp})
        Traceback (most recent call last):
        ValueError: The number power has no option 'exponent' (did you mean 'exp'?); its options are: base, exp.
    """
    if not isinstance(given, Mapping):
        return named(kind, given, known)()
    what, chosen = kind.partition(" ")[2], {str(key): value for key, value in given.items()}
    if chosen.get("name") is None:
        raise ValueError(f"The {what} {dict(given)} has no name: add {{'name': ...}}.")
    name = chosen.pop("name")
    make = named(kind, name, known)
    options(f"The {what} {name}", chosen, inspect.signature(make).parameters)
    return make(**chosen)


def options(whose: str, given: Iterable[object], known: Iterable[str]) -> None:
    """Names of a function's arguments."""
    takes = list(known)
    for option in given:
        if option not in takes:
            listing = ", ".join(takes) or "none"
            raise ValueError(f"{whose} has no option {option!r}{nearest(str(option), takes)}; its options are: {listing}.")
