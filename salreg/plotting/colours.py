"""The colours of marks and maps, the same in all pictures."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from matplotlib import colormaps

# Okabe and Ito's colours, told apart by colour-blind readers and absent from the heat map's black-red-yellow.
SPURIOUS_COLOUR = (0.34, 0.71, 0.91)
RELEVANT_COLOUR = (0.0, 0.62, 0.45)
#: Matplotlib's colour maps for images, and for the background of words and the bars of columns.
HEAT, WORDS = "inferno", "Oranges"


@cache
def colour_map(name: str) -> Any:
    """Matplotlib's colour map, whose table is computed once: each look-up there makes a new one.

    Example:
        >>> css(colour_map(WORDS)(1.0)[:3])
        'rgba(127,39,4,1.00)'
    """
    return colormaps[name]


def rgb(colour: Iterable[float]) -> tuple[int, int, int]:
    """A colour's red, green and blue from 0 to 255, without its opacity.

    Example:
        >>> rgb(SPURIOUS_COLOUR)
        (87, 181, 232)
    """
    red, green, blue, *_ = (round(255 * part) for part in colour)
    return red, green, blue


def css(colour: Iterable[float], opacity: float = 1.0) -> str:
    """A colour in the notation of CSS and plotly.

    Example:
        >>> css((0.0, 0.5, 1.0))
        'rgba(0,128,255,1.00)'
    """
    red, green, blue = rgb(colour)
    return f"rgba({red},{green},{blue},{opacity:.2f})"
