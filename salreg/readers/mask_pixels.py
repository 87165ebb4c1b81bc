"""What the pixels of a mask image mean."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from salreg.readers.problems import BadShape

_KIND = "unclear mask"
_VOID = 255  # beside classes: nobody knows
_VOC_VOID = (224, 224, 192)
_PERHAPS = 128  # of masks of three values: nobody knows
_CLEAR = 0.95  # of a thresholded mask's pixels are nearly black or nearly white


class Pixels(NamedTuple):
    """A mask image's pixels.

    Attributes:
        classes: What each pixel is ``(H, W)``: numbers, 0 the background.
        names: Of the classes that are not numbers: colours like ``#ff0000``.
        thresholded: Whether shades were made black and white.
    """

    classes: Any
    names: dict[int, str]
    thresholded: bool = False


def marked(pixels: Pixels, wanted: Iterable[str] | None) -> Any:
    """Where the wanted classes are: booleans ``(H, W)``. None wants the only class that there is, whatever its number.

    Raises:
        BadShape: There are several classes and nobody said which, or one that can mean that nobody knows.
    """
    if wanted is not None:
        numbers = {name: number for number, name in pixels.names.items()}
        inside = np.zeros(pixels.classes.shape, bool)
        for one in wanted:
            low, _, high = one.partition("-")
            if low.isdecimal():
                inside |= (pixels.classes >= int(low)) & (pixels.classes <= int(high or low))
            else:
                inside |= pixels.classes == numbers.get(one.lower(), -1)
        return inside
    found = _distinct(pixels.classes)
    classes = [one for one in found if one]
    if not pixels.names and len(classes) > 1 and classes[-1] == _VOID and classes[-2] <= _PERHAPS:
        classes.pop()
    if len(classes) > 1 or (classes == [_PERHAPS] and not pixels.names):
        names = [pixels.names.get(one, str(one)) for one in classes]
        raise BadShape(
            _KIND,
            f"it has the value {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}; masks must be 0, and 1 or "
            f"255: use categories={{'{names[-1]}': 'spurious'}} to choose the marks",
        )
    return pixels.classes == classes[0] if classes else np.zeros(pixels.classes.shape, bool)


def read_pixels(image: Image.Image) -> Pixels:
    """The classes in a picture: its values; of a palette with two colours and of coloured pictures, black and the others.

    Raises:
        BadShape: A colour or shade that means nothing certain.
    """
    pictures = getattr(image, "n_frames", 1)
    if pictures > 1 and image.format != "MPO":
        raise BadShape(_KIND, f"it holds {pictures} pictures")
    if image.format in ("JPEG", "MPO"):
        return _thresholded(np.asarray(image.convert("L")))
    if image.mode == "P" and ("transparency" not in image.info or image.convert("RGBA").getchannel("A").getextrema()[0] == 255):
        return _of_palette(image)
    if image.mode in ("P", "PA", "LA", "RGBA", "RGBa", "La"):
        return _of_transparent(np.asarray(image.convert("RGBA")))
    if image.mode == "1":
        return Pixels(np.asarray(image.convert("L")), {})
    if image.mode == "L":
        return _of_grey(np.asarray(image))
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        if not np.isfinite(values).all() or (values < 0).any() or (values != np.floor(values)).any():
            raise BadShape(_KIND, "a pixel is negative or no whole number")
        return Pixels(values.astype(np.int64 if values.dtype.itemsize > 2 else np.int32), {})
    return _of_colours(np.asarray(image.convert("RGB")))


def _of_grey(values: Any) -> Pixels:
    """Numbers of classes; or shades, where nearly all are black or white and the others lie between, as at soft edges."""
    found = _distinct(values)
    shades = [one for one in found if 1 < one < 254]
    edges = np.isin(values, (0, _VOID)).mean() if shades else 1.0
    if len(found) > 4 and found[0] == 0 and found[-1] >= 250 and edges > 0.5 and len(shades) > 2 and _is_soft(values):
        return Pixels(_split(values), {}, thresholded=True)
    return Pixels(values, {})


def _is_soft(values: Any) -> bool:
    """Whether every shade is at an edge: it has black or white, or a darker and a lighter shade, beside it."""
    shade = (values > 0) & (values < _VOID)
    near = [np.roll(values, step, axis).astype(np.int16) for axis in (0, 1) for step in (1, -1, 2, -2)]
    low, high = np.minimum.reduce(near), np.maximum.reduce(near)
    return bool(((high - low) >= 128)[shade].mean() > 0.8)


def _thresholded(values: Any) -> Pixels:
    """Black and white, of a picture that was compressed with losses."""
    if 0 < values.max() < 128:
        raise BadShape(_KIND, f"its lightest value is {values.max()}, and its compression was lossy: are these classes?")
    clear = ((values < 64) | (values >= 192)).mean()
    if clear < _CLEAR:
        raise BadShape(_KIND, f"{100 * (1 - clear):.0f}% of its pixels are neither nearly black nor nearly white")
    return Pixels(_split(values), {}, thresholded=True)


def _split(values: Any) -> Any:
    """Shades as black and white."""
    return np.where(values >= 128, np.uint8(_VOID), np.uint8(0))


def _of_palette(image: Image.Image) -> Pixels:
    """Of two colours the one that is not black, or the lighter grey, is the class; otherwise the numbers are the classes."""
    indices = np.asarray(image)
    table = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    found = _distinct(indices)
    colours = [tuple(table[one].tolist()) if one < len(table) else (one,) * 3 for one in found]
    if len(found) == 2 and colours[1] != _VOC_VOID:
        greys = all(len(set(colour)) == 1 for colour in colours)
        dark = [number for number, colour in enumerate(colours) if not any(colour)]
        if greys or dark:
            ground = dark[0] if dark else int(colours[0] > colours[1])
            return Pixels(np.where(indices == found[ground], 0, found[1 - ground] or 1).astype(np.uint8), {})
    if len(found) == 1 and len(set(colours[0])) == 1:
        return Pixels(np.full_like(indices, any(colours[0])), {})
    if len(found) == 2 and colours[1] == _VOC_VOID and found[1] == _VOID:
        return Pixels(np.where(indices == _VOID, 0, indices), {})
    return Pixels(indices, {})


def _of_transparent(values: Any) -> Pixels:
    """What is opaque, where the colour is one; otherwise the colours, the transparent ones black."""
    opaque = values[..., 3] > values[..., 3].max() // 2  # of a brush that lets the picture through, too
    if opaque.all() or not opaque.any():
        return _of_colours(values[..., :3]) if opaque.all() else Pixels(np.zeros(opaque.shape, np.uint8), {})
    visible = values[opaque][:, :3]
    if (visible == visible[0]).all():
        return Pixels(opaque.astype(np.uint8), {})
    return _of_colours(values[..., :3] * opaque[..., None].astype(np.uint8))


def _of_colours(values: Any) -> Pixels:
    """Numbers 0x00rrggbb; grey ones count as shades of grey."""
    if (values == values[..., :1]).all():
        return _of_grey(np.ascontiguousarray(values[..., 0]))
    codes = (values[..., 0].astype(np.int32) << 16) + (values[..., 1].astype(np.int32) << 8) + values[..., 2]
    found = _distinct(codes)
    if len(found) > 256:
        raise BadShape(_KIND, f"it has {len(found)} colours; it is a photo, or a mask with lossy compression")
    return Pixels(codes, {one: f"#{one:06x}" for one in found if one})


def _distinct(values: Any) -> Sequence[int]:
    """The values that occur, rising."""
    if values.dtype == np.uint8:
        rows = max(1, (1 << 20) // max(1, values.shape[1]))  # bincount takes eight bytes for each
        parts = [np.bincount(values[top : top + rows].reshape(-1), minlength=256) for top in range(0, len(values), rows)]
        return np.flatnonzero(np.sum(parts, 0)).tolist()
    return np.unique(values).tolist()
