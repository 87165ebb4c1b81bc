"""Image files, opened as they are seen; of DICOM, NIfTI and whole slides, too."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps

from salreg.readers import dicom, nifti, slides
from salreg.readers.shapes import MOST_PIXELS, Size

_ORIENTATION, _ON_THEIR_SIDE = 0x0112, (5, 6, 7, 8)  # EXIF


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
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
        except (SyntaxError, ValueError, EOFError) as error:
            raise OSError(f"it cannot be decoded: {error}") from error
        yield image


def size_of(path: str | Path) -> Size:
    """``(H, W)`` of an image as it is seen, from the head of its file.

    Raises:
        OSError: It is no image.
    """
    for kind in (dicom, nifti, slides):
        if kind.reads(path):
            return kind.size(path)
    with _read(path) as image:
        # PIL turns a TIFF by itself, and would decode a PNG to find out that it has no EXIF.
        asked = image.format != "TIFF" and (image.format != "PNG" or "exif" in image.info)
        turned = asked and image.getexif().get(_ORIENTATION) in _ON_THEIR_SIDE
        return (image.width, image.height) if turned else (image.height, image.width)


@contextmanager
def _read(path: str | Path) -> Iterator[Image.Image]:
    """PIL's own limit, of half as many pixels, is one for files from strangers."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        image = Image.open(path)
    except (SyntaxError, ValueError) as error:
        raise OSError(f"it cannot be decoded: {error}") from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    with image:
        yield image
