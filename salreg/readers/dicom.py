"""DICOM images, as a viewer shows them."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from salreg.readers.damage import as_os_error
from salreg.readers.optional import optional
from salreg.readers.shapes import MOST_PIXELS, Size


def is_dicom(path: str | Path) -> bool:
    """Whether a file begins as DICOM does, or is called so."""
    path = Path(path)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def reads(path: str | Path) -> bool:
    """Whether these are a picture of this kind."""
    return Path(path).suffix.lower() in (".dcm", ".dicom") or (_is_bare(path) and is_dicom(path))


@as_os_error("it is not DICOM")
def size(path: str | Path) -> Size:
    """``(H, W)`` of a DICOM image, from its head.

    Raises:
        OSError: It is no DICOM image, or pydicom is not installed.
    """
    found = _of_image(head(path, stop_before_pixels=True))
    rows, columns = found.get("Rows"), found.get("Columns")
    if not rows or not columns:
        raise OSError("it is DICOM without an image")
    return int(rows), int(columns)


@as_os_error("its pixels cannot be decoded")
def picture(path: str | Path) -> Image.Image:
    """A DICOM image's greys from black 0 to white 1 as floats, or its colours.

    Its rescale, its first window or its table, or else the span of its values, its palette, and MONOCHROME1, in which the
    lowest value is white, are applied.

    Raises:
        OSError: It is no DICOM image of one frame, cannot be decoded, or pydicom is not installed.
    """
    processing = _library("pydicom.pixels")
    found = _of_image(head(path))
    if int(found.get("NumberOfFrames") or 1) != 1:
        raise OSError(f"it is DICOM with {found.NumberOfFrames} frames; split it into single frames")
    if int(found.Rows) * int(found.Columns) > MOST_PIXELS:
        raise OSError(f"its {found.Rows} x {found.Columns} pixels are too many")
    pixels = found.pixel_array
    if found.get("PhotometricInterpretation") == "PALETTE COLOR":
        pixels = processing.apply_color_lut(pixels, found)
    if pixels.dtype == np.uint16 and pixels.ndim == 3:
        pixels = pixels >> 8
    if pixels.ndim == 3:
        return Image.fromarray(np.ascontiguousarray(pixels[..., :3]).astype(np.uint8), "RGB")
    return Image.fromarray(greys(np.asarray(processing.apply_modality_lut(pixels, found), np.float32), found))


@as_os_error("its pixels cannot be decoded")
def values(path: str | Path) -> Any:
    """A grey image's values ``(H, W)``, float32, with its rescale applied.

    Raises:
        OSError: It is no such image, cannot be decoded, or pydicom is not installed.
    """
    processing = _library("pydicom.pixels")
    found = _of_image(head(path))
    pixels = found.pixel_array
    if pixels.ndim != 2:
        raise OSError("it is not a grey image of one frame")
    return np.asarray(processing.apply_modality_lut(pixels, found), np.float32)


def greys(values: Any, found: Any) -> Any:
    """Values from black 0 to white 1, as a head says: of its first window, or of its table, or of the span of all values but
    the padding; in MONOCHROME1 the lowest is white. Padding is black."""
    shown = _windowed(values, found)
    if found.get("PhotometricInterpretation") == "MONOCHROME1":
        shown = 1 - shown
    return np.where(_is_padding(values, found), np.float32(0), shown)


def _is_padding(values: Any, found: Any) -> Any:
    padding = found.get("PixelPaddingValue")
    if not isinstance(padding, (int, float)):
        return np.False_
    return values == float(found.get("RescaleSlope") or 1) * padding + float(found.get("RescaleIntercept") or 0)


def _windowed(values: Any, found: Any) -> Any:
    """See ``greys``; windows as DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3 have them."""
    centre, width = (_first(found.get(key)) for key in ("WindowCenter", "WindowWidth"))
    kind = str(found.get("VOILUTFunction") or "LINEAR")
    if centre is None or width is None or width < 1 or (width == 1 and kind == "LINEAR"):
        if found.get("VOILUTSequence"):
            table = _library("pydicom.pixels").apply_voi(np.asarray(values).astype(np.int64), found)
            return (table / (2.0 ** int(found.VOILUTSequence[0].LUTDescriptor[2]) - 1)).clip(0, 1).astype(np.float32)
        inside = ~np.broadcast_to(_is_padding(values, found), values.shape)
        low = float(values.min(where=inside, initial=np.inf)) if inside.any() else 0.0
        span = float(values.max(where=inside, initial=-np.inf)) - low
    elif kind == "SIGMOID":
        return (1 / (1 + np.exp(-4 * (values - centre) / width))).astype(np.float32)
    elif kind == "LINEAR_EXACT":
        low, span = centre - width / 2, width
    elif kind == "LINEAR":
        low, span = centre - 0.5 - (width - 1) / 2, width - 1
    else:
        raise OSError(f"its window is of the kind {kind!r}, which is not read")
    return ((values - low) / max(span, 1e-9)).clip(0, 1).astype(np.float32)


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)


@as_os_error("it is not DICOM")
def head(path: str | Path, **options: Any) -> Any:
    """A file's data set; ``options`` are those of ``pydicom.dcmread``.

    Raises:
        OSError: It is no DICOM, or pydicom is not installed.
    """
    return _library("pydicom").dcmread(path, **options)


def _of_image(found: Any) -> Any:
    if found.get("Modality") == "SEG":
        raise OSError("it is a DICOM-SEG, which holds marks of other images: keep it outside the folder of images")
    return found


def _library(name: str) -> Any:
    try:
        return optional(name, "dicom")
    except ModuleNotFoundError as error:
        raise OSError(str(error)) from error


def _is_bare(path: str | Path) -> bool:
    """Whether a name has no suffix of letters, as those made of a UID."""
    return not Path(path).suffix.lstrip(".").isalpha()
