"""Volumes in files, one folder per class: NIfTI files, or folders of DICOM slices."""

from pathlib import Path

from torch import Tensor

from salreg.readers import Readings, Regions, files_below, volumes
from salreg.readers.mask_volumes import MaskVolume
from salreg.readers.stacks import stacked
from salreg.recipes.data.image_files import ImageFolder


class VolumeFolder(ImageFolder):
    """The volumes ``root/<class>/*.nii.gz`` and ``root/<class>/<series>/*.dcm``: samples ``(volume (1, D, H, W) in
    [0, 1], label, group 0)``, D from the feet up, H from front to back, W from left to right.

    Args and errors are those of ``ImageFolder``; ``resized`` is ``(D, H, W)``.
    """

    kind = "volumes"

    def listed(self) -> list[Path]:
        return volume_paths(self.root)

    def read(self, path: Path) -> Tensor:
        return volumes.read(path)

    def read_size(self, path: Path) -> tuple[int, ...]:
        return volumes.size_of(path)


def volume_paths(root: Path) -> list[Path]:
    """The paths of all volumes in the folders of a folder.

    Raises:
        ValueError: A file cannot be read, or its library is not installed.
    """
    found = [path for path in files_below(root) if len(path.parts) == 2]
    try:
        return [path for path in found if volumes.is_volume(root / path)]
    except OSError as error:
        raise ValueError(f"{root}: {error}") from error


def of_volumes(regions: Readings, root: Path, paths: list[Path]) -> dict[str, Regions]:
    """The regions of volumes by name: masks of volumes unchanged, and masks of slices stacked.

    Raises:
        ValueError: The slices of a folder do not form a volume.
    """
    if of_volumes_only(regions):
        return dict(regions)
    folders = [path for path in paths if (root / path).is_dir()]
    try:
        return dict(stacked(regions, root, folders)) if folders else dict(regions)
    except OSError as error:
        raise ValueError(f"{root}: {error}") from error


def of_volumes_only(regions: Readings) -> bool:
    """Whether all marks are masks of volumes, not of slices."""
    return any(isinstance(mark.shape, MaskVolume) for one in regions.values() for mark in one.marks)


def with_series(root: Path, images: list[str]) -> list[str]:
    """The paths of images, with the slices of a series replaced by their folder."""
    folders = {folder for folder in {Path(path).parent for path in images} if volumes.is_volume(root / folder)}
    return sorted({folder.as_posix() if (folder := Path(path).parent) in folders else path for path in images})
