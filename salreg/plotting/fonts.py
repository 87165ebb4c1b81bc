"""The typeface of pictures, which matplotlib brings along."""

from functools import cache
from typing import Any

from matplotlib.font_manager import FontProperties, findfont
from PIL import ImageFont


@cache
def font(pixels: int, bold: bool = False) -> Any:
    """DejaVu Sans, for PIL.

    Example:
        >>> font(11).getname()
        ('DejaVu Sans', 'Book')
    """
    return ImageFont.truetype(findfont(FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")), pixels)
