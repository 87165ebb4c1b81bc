"""Volumes: NIfTI of three axes, and folders of DICOM slices."""

from pathlib import Path

from torch import Tensor

from salreg.readers import dicom_series, nifti

Size3 = tuple[int, int, int]  # (D, H, W)


def is_volume(path: Path) -> bool:
    """Whether a file or a folder holds a volume.

    Raises:
        OSError: It cannot be read, or its library is not installed.
    """
    if path.is_dir():
        return dicom_series.is_series(path)
    return nifti.reads(path) and nifti.volume_size(path) is not None


def size_of(path: Path) -> Size3:
    """``(D, H, W)`` of a volume, from its head.

    Raises:
        OSError: It is none, or its library is not installed.
    """
    found = dicom_series.series(path).shape if path.is_dir() else nifti.volume_size(path)
    if found is None:
        raise OSError("it is a slice, and no volume")
    return found


def read(path: Path) -> Tensor:
    """A volume's greys ``(1, D, H, W)`` in [0, 1]: D from the feet up, H from front to back, W from left to right.

    Raises:
        OSError: It is none, is cut off, or its library is not installed.
    """
    return dicom_series.picture_volume(path) if path.is_dir() else nifti.picture_volume(path)
