"""Series of DICOM slices, a folder each, as volumes."""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from salreg.readers import dicom
from salreg.readers.damage import as_os_error
from salreg.readers.shapes import MOST_PIXELS

_TAGS = ("SeriesInstanceUID", "Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient")
_UNEVEN = 1.5  # times the usual distance of two slices: one is missing


class Series(NamedTuple):
    """A folder's slices.

    Attributes:
        files: The slices in order, along the normal of their plane.
        size: ``(H, W)`` of a slice.
        axes: Which of the axes slices, rows and columns goes from foot to head, from front to back, and from left to right.
        backwards: Of these three, those that go the other way.
    """

    files: tuple[Path, ...]
    size: tuple[int, int]
    axes: tuple[int, int, int]
    backwards: tuple[int, ...]

    def upright(self, values: Any) -> Any:
        """Values by slices, rows and columns, as ``(D, H, W)`` of ``salreg.readers.nifti.upright_volume``."""
        return np.ascontiguousarray(np.flip(values.transpose(self.axes), self.backwards))

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(D, H, W)``."""
        stored = len(self.files), *self.size
        return stored[self.axes[0]], stored[self.axes[1]], stored[self.axes[2]]


@as_os_error("it is not DICOM")
def is_series(folder: Path) -> bool:
    """Whether the first two DICOM files in a folder are of one series.

    Raises:
        OSError: A file that is no DICOM, or pydicom is not installed.
    """
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and dicom.reads(path)][:2]
    uids = {str(_head(path).get("SeriesInstanceUID") or path) for path in files}
    return len(files) == 2 and len(uids) == 1


@functools.lru_cache(4096)
@as_os_error("its slices cannot be read")
def series(folder: Path) -> Series:
    """The series in a folder.

    Raises:
        OSError: Its slices do not make one volume, or pydicom is not installed.
    """
    heads = [(path, _head(path)) for path in sorted(folder.iterdir()) if path.is_file() and dicom.reads(path)]
    for tag, what in (("SeriesInstanceUID", "series"), ("Rows", "heights"), ("Columns", "widths")):
        if len({str(one.get(tag)) for _, one in heads}) != 1:
            raise OSError(f"it holds slices of several {what}")
    try:
        positions = np.array([one.ImagePositionPatient for _, one in heads], float)
        planes = np.array([one.ImageOrientationPatient for _, one in heads], float)
    except (AttributeError, TypeError, ValueError) as error:
        raise OSError(f"a slice does not state its position: {error}") from error
    if np.abs(planes - planes[0]).max() > 1e-3:
        raise OSError("its slices lie in several planes")
    along, down = planes[0, :3], planes[0, 3:]
    heights = positions @ np.cross(along, down)
    order = np.argsort(heights)
    gaps = np.diff(heights[order])
    if (gaps <= 1e-3).any():
        raise OSError("two of its slices are at the same position")
    if gaps.max() > _UNEVEN * np.median(gaps):
        raise OSError("a slice is missing: their distances are not even")
    # Of slices, rows and columns, in terms of left to right, front to back, foot to head; DICOM counts the first the other way.
    directions = np.stack([np.cross(along, down), down, along]) * (-1, 1, 1)
    axes: list[int] = []
    for world in (2, 1, 0):
        axes.append(max({0, 1, 2} - {*axes}, key=lambda axis, world=world: abs(directions[axis, world])))  # type: ignore[misc]
    backwards = tuple(place for place, world in enumerate((2, 1, 0)) if directions[axes[place], world] < 0)
    first = heads[0][1]
    size = int(first.Rows), int(first.Columns)
    return Series(tuple(heads[number][0] for number in order), size, (axes[0], axes[1], axes[2]), backwards)


@as_os_error("its pixels cannot be decoded")
def picture_volume(folder: Path) -> Tensor:
    """A series' greys ``(1, D, H, W)`` from black 0 to white 1, with its rescale and its first window, upright as
    ``salreg.readers.nifti.upright_volume``.

    Raises:
        OSError: As ``series``; or a slice cannot be decoded.
    """
    found = series(folder)
    if len(found.files) * found.size[0] * found.size[1] > MOST_PIXELS:
        raise OSError(f"its {len(found.files)} slices have too many pixels")
    values = np.stack([dicom.values(file) for file in found.files])
    return torch.from_numpy(found.upright(dicom.greys(values, dicom.head(found.files[0], stop_before_pixels=True)))).unsqueeze(
        0
    )


def _head(path: Path) -> Any:
    return dicom.head(path, stop_before_pixels=True, specific_tags=list(_TAGS))
