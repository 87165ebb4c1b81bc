"""Folders of mask images."""

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from salreg.readers.mask_pixels import marked, read_pixels
from salreg.readers.mask_volumes import MaskVolume
from salreg.readers.pictures import opened, size_of
from salreg.readers.problems import BadShape
from salreg.readers.raster import Canvas, sample
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import SIDES, Mark, Side, check_sides, files_below
from salreg.readers.shapes import AnySize, Shape, Size
from salreg.readers.volumes import is_volume

MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".jpg", ".jpeg", ".webp", ".pgm", ".nii", ".nii.gz")
_EXPORT = re.compile(r"task-\d+-annotation-\d+-by-\d+-tag-.+-\d+$")


class MaskImage(NamedTuple):
    """An image file that is not 0 where something is marked; of several classes, the wanted ones."""

    path: Path
    wanted: tuple[str, ...] | None = None

    @property
    def own_size(self) -> Size | None:
        try:
            return size_of(self.path)
        except OSError:
            return None

    def cover(self, canvas: Canvas, frame: AnySize) -> bool:
        try:
            with opened(self.path) as image:
                pixels = read_pixels(image)
            found = marked(pixels, self.wanted)
        except OSError as error:
            raise BadShape("unreadable", f"the mask {self.path} cannot be read: {error}") from error
        except BadShape as error:
            raise BadShape(error.kind, f"the mask {self.path} is unclear: {error}") from error
        if pixels.thresholded:
            warnings.warn(f"Masks in {self.path.parent} have shades: they are split at middle grey.", stacklevel=2)
        sample(canvas, found)
        return True


def read_masks(
    *,
    spurious: str | Path | None = None,
    relevant: str | Path | None = None,
    categories: Mapping[str, Side] | None = None,
    suffix: str = "",
    strict: bool = False,
) -> Readings:
    """Read masks by image name: PNG, TIFF, BMP, GIF, PGM, WebP, JPEG or NIfTI files that are 0 where nothing is marked; for
    volumes, NIfTI files with three axes.

    The folders are listed at once; a mask is opened when it is drawn. Links that leave a folder are not followed. An image
    whose mask is all 0 was looked at, and nothing is marked in it; an image without a mask was not looked at. In a picture with
    two colours, everything that is not black is marked, however the file stores it. Next to classes, 255 means unknown, as at
    the borders in Pascal VOC. JPEGs and soft edges are split at middle grey.

    Args:
        spurious: Folder of masks of what the model must not use; ``folder/moles/003.png`` belongs to the image ``moles/003``.
        relevant: Folder of masks of what it should use; the same folder if ``categories`` distinguishes the sides.
        categories: Which values (``"15"``), ranges of them (``"128-255"``) or colours (``"#ff0000"``) of masks with several
            classes are marks, and which side.
        suffix: The end of all masks' names before the dot, as in ``003_mask.png``; files without it are ignored.
        strict: Whether a mask without a clear meaning raises an error instead of being skipped, named and counted.

    Returns:
        The regions of each image by name; masks whose pixels have no clear meaning are found only when they are drawn.

    Raises:
        FileNotFoundError: A folder does not exist or holds no mask.
        ValueError: No folder is given.

    Example:
        >>> read_masks(spurious="nowhere")
        Traceback (most recent call last):
        FileNotFoundError: There is no folder 'nowhere' of masks.
    """
    check_sides(categories or {})
    for name in map(str, categories or ()):
        if not re.fullmatch(r"\d{1,9}(-\d{1,9})?|#[0-9a-fA-F]{6}", name):
            raise ValueError(
                f"The categories of masks are values like 15, ranges like 128-255 or colours like #ff0000, not {name!r}."
            )
    folders: dict[Side, Path] = {
        side: Path(folder) for side, folder in zip(SIDES, (spurious, relevant), strict=True) if folder is not None
    }
    if not folders:
        raise ValueError("read_masks needs spurious=..., relevant=... or both.")
    reading = Reading(" and ".join(sorted({str(folder) for folder in folders.values()})), None, strict)
    sides = (
        dict.fromkeys(set(categories.values())) if categories and len(set(folders.values())) == 1 else dict.fromkeys(folders)
    )
    listed = {folder: list(_masks_in(folder, suffix)) for folder in dict.fromkeys(folders.values())}
    for side in sides:
        folder = folders.get(side, next(iter(folders.values())))
        wanted = tuple(str(name) for name, of in categories.items() if of == side) if categories else None
        stems = Counter(path.with_suffix("") for path in listed[folder])
        for path in listed[folder]:
            named = path.with_name(
                _bare(path.name).removesuffix(suffix) + (path.suffix if stems[path.with_suffix("")] > 1 else "")
            )
            _add(reading, folder, path, named.as_posix(), _mask(folder / path, wanted), side)
    return reading.finish()


def _mask(path: Path, wanted: tuple[str, ...] | None) -> MaskImage | MaskVolume:
    try:
        return MaskVolume(path, wanted) if is_volume(path) else MaskImage(path, wanted)
    except OSError:  # which drawing it says
        return MaskImage(path, wanted)


def _bare(name: str) -> str:
    """A mask's name without its own suffix, of which ``.jpg.png`` has one."""
    return next(name[: -len(one)] for one in sorted(MASK_SUFFIXES, key=len, reverse=True) if name.lower().endswith(one))


def read_mask(path: Path) -> Tensor:
    """Read which pixels a mask image marks: booleans ``(H, W)``.

    Raises:
        ValueError: It cannot be read, or has no clear meaning; the message names the file.
    """
    with opened(path) as image:
        try:
            return torch.from_numpy(marked(read_pixels(image), None))
        except BadShape as error:
            raise ValueError(f"The mask {path} is unclear: {error}.") from error


def _masks_in(folder: Path, suffix: str) -> Iterator[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {str(folder)!r} of masks.")
    masks = [
        path for path in files_below(folder) if path.name.lower().endswith(MASK_SUFFIXES) and _bare(path.name).endswith(suffix)
    ]
    if not masks:
        raise FileNotFoundError(f"The folder {str(folder)!r} holds no mask (*{suffix}.png, .tif, .jpg, ...).")
    yield from masks


def _add(reading: Reading, folder: Path, path: Path, name: str, mask: Shape, side: Side) -> None:
    if _EXPORT.match(path.stem):
        reason = "it is named after the numbers of Label Studio's task and annotation, not after its image: export JSON instead"
        reading.skip(path.as_posix(), "", "no name", reason)
        return
    if path.suffix.lower() in (".jpg", ".jpeg"):
        reading.note(f"{folder}: masks like {path.name} have lossy compression; they are split at middle grey.")
    image = reading.image(name)
    if image is not None:
        image.marks.append(Mark(side, side, "", mask))
