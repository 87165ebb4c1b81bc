"""Label Studio's pictures of marks: the run lengths of its brush, and its bitmasks."""

import base64
import binascii
import io
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from salreg.readers.problems import BadShape
from salreg.readers.raster import Canvas, sample
from salreg.readers.shapes import Size

_HEAD = 53  # bits
_KIND = "wrong run lengths"


class Brush(NamedTuple):
    """A brush stroke as the bytes of its run lengths."""

    raw: bytes
    own_size: Size

    def cover(self, canvas: Canvas, frame: Size) -> bool:
        return sample(canvas, stroke(self.raw, *self.own_size))


class Bitmask(NamedTuple):
    """A stroke as the bytes of a PNG of the image's size."""

    raw: bytes
    own_size: Size

    def cover(self, canvas: Canvas, frame: Size) -> bool:
        try:
            with Image.open(io.BytesIO(self.raw)) as picture:
                return sample(canvas, np.asarray(picture.convert("RGBA"))[..., 3] > 0)
        except (OSError, SyntaxError, ValueError) as error:
            raise BadShape("malformed", f"its bitmask cannot be decoded: {error}") from error


def brush(values: Any, size: Size) -> Brush:
    """A stroke whose head fits an image of that size ``(H, W)``.

    Raises:
        BadShape: It does not, or is no list of bytes.
    """
    try:
        raw = bytes(list(values))  # bytes(n) would be n zeros
    except (TypeError, ValueError) as error:
        raise BadShape(_KIND, "a brush stroke is not a list of bytes") from error
    if 8 * len(raw) <= _HEAD:
        raise BadShape(_KIND, "a brush stroke is cut off")
    total, word = int.from_bytes(raw[:4], "big"), (raw[4] >> 3) + 1
    if total != 4 * size[0] * size[1] or word != 8:
        raise BadShape(_KIND, f"a brush stroke has {total} values of {word} bits, not {4 * size[0] * size[1]} of 8")
    return Brush(raw, size)


def bitmask(address: Any, size: Size) -> Bitmask:
    """A PNG in a ``data:`` address, of that size ``(H, W)``.

    Raises:
        BadShape: It is none, or of another size.
    """
    try:
        raw = base64.b64decode(str(address).partition("base64,")[2], validate=True)
        with Image.open(io.BytesIO(raw)) as picture:
            found = picture.height, picture.width
    except (binascii.Error, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadShape("malformed", f"its bitmask is not a picture: {type(error).__name__}") from error
    if found != size:
        raise BadShape("another size", f"its bitmask has size (H, W) = {found}, but its image has {size}")
    return Bitmask(raw, size)


def stroke(raw: bytes, height: int, width: int) -> Any:
    """Where a brush stroke painted: booleans ``(H, W)``.

    Bits, the highest first: how many bytes the RGBA picture has (32), the size of a value less 1 (5), four sizes of lengths
    less 1 (4 each); then blocks: whether one value repeats (1), which size its length has (2), the length less 1, and that
    value or as many values. Only the opacity, every fourth value, is kept.

    Raises:
        BadShape: It is cut off, or holds more or fewer values than the picture.
    """
    place = 32 + 5

    def number(size: int) -> int:
        nonlocal place
        first, place = place, place + size
        if place > 8 * len(raw):
            raise BadShape(_KIND, "a brush stroke is cut off")
        part = raw[first // 8 : (place + 7) // 8]
        return int.from_bytes(part, "big") >> (-place % 8) & ((1 << size) - 1)

    sizes = [number(4) + 1 for _ in range(4)]
    total, filled = 4 * height * width, 0
    opaque = np.zeros(height * width, bool)
    while filled < total:
        repeats, length = number(1), number(sizes[number(2)]) + 1
        if filled + length > total:
            raise BadShape(_KIND, f"a brush stroke's blocks hold more than {total} values")
        first, last = filled // 4, (filled + length) // 4  # pixels whose opacity lies in the block
        if repeats:
            opaque[first:last] = number(8) > 0
        else:
            bits = np.unpackbits(np.frombuffer(raw, np.uint8)[place // 8 : (place + 8 * length + 7) // 8])
            values = np.packbits(bits[place % 8 : place % 8 + 8 * length])
            place += 8 * length
            if len(values) < length:
                raise BadShape(_KIND, "a brush stroke is cut off")
            opaque[first:last] = values[4 * first + 3 - filled :: 4] > 0
        filled += length
    return opaque.reshape(height, width)
