"""Whole slides: TIFFs in tiles, of several resolutions."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from salreg.readers.optional import optional
from salreg.readers.shapes import Size

_LARGE = 1 << 26  # pixels; smaller TIFFs are ordinary pictures
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
    except OSError:  # a kind of TIFF that PIL does not know
        return Path(path).suffix.lower() in (".svs", ".ndpi")


def size(path: str | Path) -> Size:
    """``(H, W)`` of the finest resolution, from the head of its file.

    Raises:
        OSError: It is no TIFF, or tifffile is not installed.
    """
    with _opened(path) as slide:
        height, width = _size_of(slide.series[0].levels[0])
    return height, width


def picture(path: str | Path) -> Image.Image:
    """The finest resolution of at most 67 million pixels.

    Raises:
        OSError: It has none, or cannot be decoded, or tifffile is not installed.
    """
    with _opened(path) as slide:
        levels = [level for level in slide.series[0].levels if np.prod(_size_of(level)) <= _LARGE]
        if not levels:
            raise OSError("it has no resolution of at most 67 million pixels: cut it into tiles")
        try:
            pixels = levels[0].asarray()
        except Exception as error:  # whatever decoders of compressed tiles raise
            raise OSError(f"its tiles cannot be decoded: {error}") from error
    if levels[0].axes.startswith("S"):
        pixels = np.moveaxis(pixels, 0, -1)
    return Image.fromarray(np.ascontiguousarray(pixels if pixels.ndim == 2 else pixels[..., :3]))


def _size_of(level: Any) -> Size:
    sizes = dict(zip(level.axes, level.shape, strict=True))
    return sizes["Y"], sizes["X"]


def _opened(path: str | Path) -> Any:
    try:
        tifffile = optional("tifffile", "slides")
    except ModuleNotFoundError as error:
        raise OSError(str(error)) from error
    try:
        return tifffile.TiffFile(path)
    except tifffile.TiffFileError as error:
        raise OSError(f"it is no TIFF: {error}") from error
