"""Folders of mask images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from salreg.annotations import from_mask
from salreg.readers.regions import SIDES, Regions, files_below, image_name


@dataclass(frozen=True, slots=True)
class _Masks:
    spurious: Path | None = None
    relevant: Path | None = None

    def draw(self, size: tuple[int, int]) -> Tensor:
        found = {side: read_mask(path) for side in SIDES if (path := getattr(self, side)) is not None}
        try:
            return from_mask(**found)
        except ValueError as error:
            raise ValueError(f"{self.spurious or self.relevant}: {error}") from error


def read_masks(*, spurious: str | Path | None = None, relevant: str | Path | None = None) -> dict[str, Regions]:
    """Masks by the names of their images: PNG files, 0 where nothing is marked and 1 or 255 where something is.

    The folders are listed now; a mask is opened when it is drawn. Links are not followed out of a folder. An image whose mask
    is all 0 was looked at and nothing is marked in it; one without mask was not looked at.

    Args:
        spurious: Folder of what the model must not use; ``folder/moles/003.png`` belongs to the image ``moles/003``.
        relevant: Folder of what it should use.

    Returns:
        The regions of each image by name; drawing them raises a ``ValueError`` that names a mask with other values, or two
        masks that overlap.

    Raises:
        FileNotFoundError: A folder that does not exist, or holds no PNG.
        ValueError: No folder.

    Example:
        >>> read_masks(spurious="nowhere")
        Traceback (most recent call last):
        FileNotFoundError: There is no folder 'nowhere' of masks.
    """
    folders = {side: Path(folder) for side, folder in zip(SIDES, (spurious, relevant), strict=True) if folder is not None}
    if not folders:
        raise ValueError("read_masks needs spurious=..., relevant=... or both.")
    paths: dict[str, dict[str, Path]] = {}
    for side, folder in folders.items():
        if not folder.is_dir():
            raise FileNotFoundError(f"There is no folder {str(folder)!r} of masks.")
        masks = [path for path in files_below(folder) if path.suffix == ".png"]
        if not masks:
            raise FileNotFoundError(f"The folder {str(folder)!r} holds no mask (*.png).")
        for path in masks:
            paths.setdefault(image_name(path.as_posix(), str(folder)), {})[side] = folder / path
    return {name: _Masks(**sides) for name, sides in paths.items()}


def read_mask(path: Path) -> Tensor:
    """Where a mask image is 1 or 255: booleans ``(H, W)``.

    Raises:
        ValueError: It has other values than these and 0; names the file.
    """
    with Image.open(path) as image:
        pixels = np.asarray(image if image.mode in ("1", "L", "P") else image.convert("L"))
    other = np.setdiff1d(pixels, (0, 1, 255))
    if len(other):
        raise ValueError(f"The mask {path} has the value {other[0]}; masks are 0, and 1 or 255.")
    return torch.from_numpy(pixels > 0)
