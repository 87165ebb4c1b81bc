"""Masks of volumes."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from salreg.readers import nifti
from salreg.readers.mask_pixels import Pixels, marked
from salreg.readers.problems import BadShape
from salreg.readers.raster import Canvas, sample
from salreg.readers.shapes import AnySize


class MaskVolume(NamedTuple):
    """A NIfTI of three axes that is not 0 where something is marked; of several classes, the wanted ones."""

    path: Path
    wanted: tuple[str, ...] | None = None

    @property
    def own_size(self) -> AnySize | None:
        try:
            return nifti.volume_size(self.path)
        except OSError:
            return None

    def cover(self, canvas: Canvas, frame: AnySize) -> bool:
        if canvas.ndim != 3:
            raise BadShape("no slice", f"the mask {self.path} is a volume, but its image is flat")
        try:
            values = nifti.upright_volume(self.path)
            if not np.isfinite(values).all() or (values < 0).any() or (values != np.floor(values)).any():
                raise BadShape("unclear mask", "a place is negative or no whole number")
            found = marked(Pixels(values.astype(np.int32), {}), self.wanted)
        except OSError as error:
            raise BadShape("unreadable", f"the mask {self.path} cannot be read: {error}") from error
        except BadShape as error:
            raise BadShape(error.kind, f"the mask {self.path} is unclear: {error}") from error
        sample(canvas, found)
        return True
