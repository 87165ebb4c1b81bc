"""Small numbers on Lightning's progress bars."""

from dataclasses import replace
from typing import Any

_DEFAULT, _SIGNIFICANT = ".3f", ".3g"


def show_significant_digits(bar: Any) -> None:
    """Let Rich's bar show three significant digits, as the plain one does: three decimals make a penalty of 0.0004 a 0.000.

    Args:
        bar: A Trainer's; others, and one whose format somebody chose, stay as they are.
    """
    theme: Any = getattr(bar, "theme", None)
    if theme is not None and getattr(theme, "metrics_format", None) == _DEFAULT:
        bar.theme = replace(theme, metrics_format=_SIGNIFICANT)
