"""Whole slides: TIFFs in tiles, of several resolutions."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from salreg.readers.damage import as_os_error
from salreg.readers.optional import optional
from salreg.readers.shapes import Size

_LARGE = 1 << 26  # pixels; smaller TIFFs are ordinary pictures
_MOST_TILES = 1_000_000
_SUFFIXES = (".svs", ".ndpi", ".tif", ".tiff")


def reads(path: str | Path) -> bool:
    """Whether this is a picture of this kind."""
    if Path(path).suffix.lower() not in _SUFFIXES or not Path(path).is_file():
        return False
    try:
        with Image.open(path) as image:
            return image.width * image.height > _LARGE
    except Image.DecompressionBombError:
        return True
    except Exception:  # a damaged TIFF, or of a kind that PIL does not know
        return Path(path).suffix.lower() in (".svs", ".ndpi")


@as_os_error("it is not a TIFF that can be read")
def size(path: str | Path) -> Size:
    """``(H, W)`` of the finest resolution, from the head of its file.

    Raises:
        OSError: It is no TIFF, or tifffile is not installed.
    """
    with _opened(path) as slide:
        height, width = _size_of(slide.series[0].levels[0])
    return height, width


@as_os_error("it cannot be decoded")
def picture(path: str | Path) -> Image.Image:
    """The finest resolution of at most 67 million pixels; of a slide that has none, every second, third, ... pixel of the
    coarsest, a tile at a time.

    Raises:
        OSError: It cannot be decoded, or tifffile is not installed.
    """
    with _opened(path) as slide:
        levels = slide.series[0].levels
        small = next((level for level in levels if math.prod(_size_of(level)) <= _LARGE), None)
        pixels = _sampled(levels[-1]) if small is None else small.asarray()
    if small is not None and small.axes.startswith("S"):
        pixels = np.moveaxis(pixels, 0, -1)
    return Image.fromarray(np.ascontiguousarray(pixels if pixels.ndim == 2 else pixels[..., :3]))


def _sampled(level: Any) -> Any:
    """The pixels in the middle of squares, ``(H, W)`` or ``(H, W, C)``."""
    size, page = _size_of(level), level.pages[0]
    step = math.ceil(math.sqrt(math.prod(size) / _LARGE))
    middle = step // 2
    if math.prod(page.chunked) > _MOST_TILES or math.prod(page.chunks) > _LARGE * page.samplesperpixel:
        raise ValueError(f"{page.chunked} tiles of {page.chunks} pixels are too many, or too large")
    found = np.zeros((*(-(-(edge - middle) // step) for edge in size), page.samplesperpixel), page.dtype)
    for tile, (plane, _, top, left, _), _ in page.segments(maxworkers=1):
        if tile is None:  # one that was never written
            continue
        y, x = (middle - top) % step, (middle - left) % step
        row, column = (top + y) // step, (left + x) // step
        part = tile[0, y::step, x::step][: len(found) - row, : found.shape[1] - column]  # tiles reach over the border
        planes = slice(plane, plane + 1) if page.planarconfig == 2 else slice(None)
        found[row : row + part.shape[0], column : column + part.shape[1], planes] = part
    return found[..., 0] if page.samplesperpixel == 1 else found


def _size_of(level: Any) -> Size:
    sizes = dict(zip(level.axes, level.shape, strict=True))
    return sizes["Y"], sizes["X"]


def _opened(path: str | Path) -> Any:
    try:
        tifffile = optional("tifffile", "slides")
    except ModuleNotFoundError as error:
        raise OSError(str(error)) from error
    return tifffile.TiffFile(path)
