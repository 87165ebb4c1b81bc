"""Suggestions for misspelt names."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """``", did you mean 'x' or 'y'?"`` for the known names that resemble ``name``, otherwise an empty string.

    Example:
        >>> nearest("layr4", ["layer3", "layer4", "fc"])
        " (did you mean 'layer4' or 'layer3'?)"
    """
    close = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""
