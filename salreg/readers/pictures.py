"""Image files, opened as they are seen; of DICOM, NIfTI and whole slides, too."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from salreg.readers import dicom, nifti, slides
from salreg.readers.shapes import MOST_PIXELS, Size

_WIDTH, _LENGTH, _ORIENTATION = 256, 257, 274  # tags of EXIF and TIFF
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_ON_THEIR_SIDE = (5, 6, 7, 8)  # orientations


@contextmanager
def opened(path: str | Path) -> Iterator[Image.Image]:
    """An image file's picture, upright as its EXIF orientation says, and decoded.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It is no image, is cut off, or has more than 268 million pixels, or its library is not installed.
    """
    for kind in (dicom, nifti, slides):
        if kind.reads(path):
            yield kind.picture(path)
            return
    with _read(path) as image:
        if image.width * image.height > MOST_PIXELS:
            raise OSError(f"its {image.height} x {image.width} pixels are too many")
        try:
            upright = _upright(image)
        except OSError:
            raise
        except Exception as error:  # whatever decoders raise of damaged files
            raise OSError(f"it cannot be decoded: {error}") from error
        yield upright


def size_of(path: str | Path) -> Size:
    """``(H, W)`` of an image as it is seen, from the head of its file.

    Raises:
        OSError: It is no image.
    """
    for kind in (dicom, nifti, slides):
        if kind.reads(path):
            return kind.size(path)
    with _read(path) as image:
        width, height = _stored_size(image)
        # To ask a PNG that has no EXIF would decode it.
        asked = image.format != "PNG" or "exif" in image.info
        try:
            turned = asked and image.getexif().get(_ORIENTATION) in _ON_THEIR_SIDE
        except Exception as error:
            raise OSError(f"its EXIF cannot be read: {error}") from error
        return (width, height) if turned else (height, width)


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """(W, H) as the file has it. PIL swaps those of some TIFFs, and then decodes uncompressed ones wrongly."""
    tags = getattr(image, "tag_v2", {})
    return int(tags.get(_WIDTH, image.width)), int(tags.get(_LENGTH, image.height))


def _upright(image: Image.Image) -> Image.Image:
    """The picture as its orientation says."""
    if image.format == "TIFF" and _is_stack(image):
        raise OSError("it holds several pictures of the same size: split it")
    orientation = image.getexif().pop(_ORIENTATION, 1)
    if image.format == "TIFF":
        image._size = _stored_size(image)
    image.load()
    if image.mode == "I;16" and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # PIL turns 8 bits only
        image = _inverted(image)
    turned = image.copy() if orientation != 1 else image
    turned.getexif()[_ORIENTATION] = orientation
    ImageOps.exif_transpose(turned, in_place=True)
    turned.format = image.format
    return turned


def _is_stack(image: Image.Image) -> bool:
    """Whether a TIFF's second picture is as large as the first, and no smaller copy of it."""
    if getattr(image, "n_frames", 1) == 1:
        return False
    size = image.size
    image.seek(1)
    alike = image.size == size
    image.seek(0)
    return alike


def _inverted(image: Image.Image) -> Image.Image:
    found = Image.fromarray(65535 - np.asarray(image))
    found.format, found.info = image.format, image.info
    return found


@contextmanager
def _read(path: str | Path) -> Iterator[Image.Image]:
    """PIL's own limit, of half as many pixels, is one for files from strangers."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        image = Image.open(path)
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"it cannot be decoded: {error}") from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    with image:
        yield image
