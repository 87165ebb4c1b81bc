"""Shapes that are painted onto a canvas of the image's size."""

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from salreg.names import nearest
from salreg.readers.regions import Shapes


class Painted(Shapes):
    """Regions of which each shape is painted over the others."""

    __slots__ = ()

    def mask(self, shapes: list[Any], size: tuple[int, int]) -> Any:
        height, width = size
        canvas = Image.new("1", (width, height))
        for shape in shapes:
            self.paint(canvas, shape)
        return np.array(canvas)

    @abstractmethod
    def paint(self, canvas: Image.Image, shape: Any) -> None:
        """Set the pixels of one shape to 1."""


def rectangle(canvas: Image.Image, left: float, top: float, right: float, bottom: float) -> None:
    """Paint every pixel that a rectangle touches; PIL includes the right and lower edges."""
    ImageDraw.Draw(canvas).rectangle((int(left), int(top), math.ceil(right) - 1, math.ceil(bottom) - 1), fill=1)


def polygon(canvas: Image.Image, corners: Iterable[tuple[float, float]]) -> None:
    """Paint a polygon, edges included."""
    ImageDraw.Draw(canvas).polygon(list(corners), fill=1)


def check_labels(labels: Mapping[str, Any], seen: set[str], path: str | Path) -> None:
    """Raise a ``ValueError`` that names a label which no shape of a file has, and the nearest one that there is."""
    for label in labels:
        if label not in seen:
            raise ValueError(f"No shape of {path} has the label {label!r}{nearest(label, seen)}. There are: {sorted(seen)}.")
