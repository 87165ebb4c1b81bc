"""ISIC's features: which superpixels of an image show one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from salreg.readers.content import read_json
from salreg.readers.labelme import single_files
from salreg.readers.pictures import opened, size_of
from salreg.readers.problems import BadShape
from salreg.readers.raster import Canvas, sample
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side
from salreg.readers.shapes import Size

ENDING = "_features"
_MOST = 1 << 20


class Superpixels(NamedTuple):
    """Some numbers of a picture whose colours are numbers: red, and 256 times green, and 65,536 times blue."""

    path: Path
    numbers: Any

    @property
    def own_size(self) -> Size | None:
        try:
            return size_of(self.path)
        except OSError:
            return None

    def cover(self, canvas: Canvas, frame: Size) -> bool:
        try:
            with opened(self.path) as image:
                colours = np.asarray(image.convert("RGB"))
        except OSError as error:
            raise BadShape("unreadable", f"the superpixels {self.path} cannot be read: {error}") from error
        numbers = colours[..., 0].astype(np.int32)
        for channel in (1, 2):
            numbers += colours[..., channel].astype(np.int32) << (8 * channel)
        return sample(canvas, np.isin(numbers, self.numbers))


def read_superpixels(path: str | Path, labels: Mapping[str, Side], *, strict: bool = False) -> Readings:
    """Read regions by image name from ISIC's ``ISIC_0000000_features.json`` beside ``ISIC_0000000_superpixels.png``.

    Every image with a file was looked at; a feature of zeros is nowhere.

    Args:
        path: The JSON file, or a folder of them.
        labels: Which features, as ``pigment_network`` or ``streaks``, are ``spurious`` and which ``relevant``.
        strict: Whether a feature without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: No such JSON, or a feature that it does not have.
    """
    reading, known = Reading(path, labels, strict), set()
    for file, folder in single_files(path, ".json"):
        if not file.stem.endswith(ENDING):
            continue
        content, name = read_json(file), file.stem.removesuffix(ENDING)
        if not isinstance(content, dict):
            raise ValueError(f"{file} is not a JSON file of ISIC features.")
        image = reading.image(f"{folder}/{name}")
        for label, flags in content.items():
            known.add(label)
            if not (isinstance(flags, list) and not any(flags)):
                reading.mark(image, label, label, _shape, flags, file.with_name(f"{name}_superpixels.png"))
    return reading.finish(sorted(known))


def _shape(flags: Any, path: Path) -> Superpixels:
    if not isinstance(flags, list) or len(flags) > _MOST or any(flag not in (0, 1) for flag in flags):
        raise BadShape("malformed", "a feature is not a list of 0 and 1, one for each superpixel")
    if not path.is_file():
        raise BadShape("unreadable", f"there are no superpixels {path}")
    return Superpixels(path, np.flatnonzero(flags))
