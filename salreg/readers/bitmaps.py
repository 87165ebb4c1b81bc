"""Masks that a file holds as small pictures."""

import base64
import binascii
import io
import zlib
from typing import Any

import numpy as np
from PIL import Image

from salreg.readers.checked import numbers, pixels
from salreg.readers.problems import BadShape
from salreg.readers.shapes import MOST_PIXELS, AnySize, Runs

_MOST_BYTES = 1 << 26  # of a PNG that was compressed once more


def png(text: Any, corner: tuple[Any, Any], frame: AnySize | None) -> Runs:
    """The mask of a PNG in base64, perhaps compressed once more, whose first pixel lies at a row and a column of the image.

    Raises:
        BadShape: It is none, or larger than an image of the size ``frame``.
    """
    top, left = numbers(corner)
    if top % 1 or left % 1:
        raise BadShape("no number", "its bitmap does not begin at a whole pixel")
    try:
        raw = base64.b64decode(str(text), validate=True)
        if not raw.startswith(b"\x89PNG"):
            raw = zlib.decompressobj().decompress(raw, _MOST_BYTES)
        with Image.open(io.BytesIO(raw)) as picture:
            height, width = picture.height, picture.width
            if height * width > MOST_PIXELS or (frame and (height > frame[0] or width > frame[1])):
                raise BadShape("another size", f"its bitmap of {height} x {width} is larger than its image")
            inside = _is_inside(picture)
    except BadShape:
        raise
    except (binascii.Error, zlib.error, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadShape("malformed", f"its bitmap is not a picture: {type(error).__name__}") from error
    return pixels(inside, (int(top), int(left)))


def _is_inside(picture: Image.Image) -> Any:
    """Where a bitmap is opaque; where it has no opacity, not 0."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        return np.asarray(picture.convert("RGBA"))[..., 3] > 0
    if picture.mode in ("1", "L", "P"):
        return np.asarray(picture) > 0
    raise BadShape("malformed", f"its bitmap has colours ({picture.mode}) and no opacity")
