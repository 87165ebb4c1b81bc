"""Marks of the slices of a series, as those of its volume."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from salreg.readers.dicom_series import Series, series
from salreg.readers.matching import match
from salreg.readers.raster import sample
from salreg.readers.reading import Readings
from salreg.readers.regions import ImageMarks
from salreg.readers.shapes import AnySize


class StackedMarks(NamedTuple):
    """The marks of a series, slice by slice; None of those that are not in the file, where nothing is marked."""

    series: Series
    slices: tuple[ImageMarks | None, ...]

    def draw(self, size: AnySize) -> Tensor:
        """The annotation ``(1, D, H, W)``, int8, at any size.

        Raises:
            ValueError: A mark of a slice cannot be drawn; or all were left out.
        """
        flat = self.series.size
        drawn = [None if one is None else one.drawn(flat, one.stated_size()) for one in self.slices]
        problems = [problem for one in drawn if one for problem in one.problems]
        if problems:
            raise ValueError(f"{problems[0]}.")
        values = np.stack([np.zeros(flat, np.int8) if one is None else one.annotation[0].numpy() for one in drawn])
        if not values.any() and any(one.skipped for one in self.slices if one):
            raise ValueError("All marks of its slices were skipped.")
        upright, canvas = self.series.upright(values), np.zeros((2, *size), np.int8)
        for side in (0, 1):
            sample(canvas[side], upright == (1, -1)[side])
        return torch.from_numpy(canvas[0] - canvas[1]).unsqueeze(0)


def stacked(regions: Readings, root: Path, folders: list[Path]) -> dict[str, StackedMarks]:
    """The marks of series whose slices are in a file, by the series' folders.

    Args:
        regions: By the names of slices.
        root: The folder of the images.
        folders: Of the series, below it.

    Raises:
        OSError: A folder that holds no series.
    """
    found = {folder: series(root / folder) for folder in folders}
    files = [(folder, path) for folder, one in found.items() for path in one.files]
    keys = list(regions)
    matched = match([path.relative_to(root).as_posix() for _, path in files], [regions[key].name for key in keys]).regions
    marks = {path: regions[keys[one]] for (_, path), one in zip(files, matched, strict=True) if one is not None}
    return {
        folder.as_posix(): StackedMarks(one, slices)
        for folder, one in found.items()
        if any(slices := tuple(marks.get(path) for path in one.files))
    }
