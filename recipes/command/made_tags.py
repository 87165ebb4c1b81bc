"""Generates images with a tag that gives the class away in training, and masks of the tag: a project's first data."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CLASSES = ("ring", "square")
SIDE, _TAG = 32, 7
_Y, _X = np.mgrid[0:SIDE, 0:SIDE]


class Split(NamedTuple):
    """A part of the images.

    Attributes:
        name: Its folder.
        size: The number of images of each class.
        tagged: The probability of a tag, by class.
        looked_at: The share of the images that have a mask.
    """

    name: str
    size: int
    tagged: tuple[float, float]
    looked_at: float


SPLITS = (
    Split("train", 120, (0.0, 1.0), 0.05),
    Split("validation", 30, (0.0, 1.0), 1.0),
    Split("test", 40, (1.0, 0.0), 1.0),
)


def write(root: Path) -> None:
    """Write ``images/<split>/<class>/<number>.png`` and ``marks/<split>/<class>/<number>.png`` below a folder.

    A mask is 255 on the tag, and empty if somebody looked and there is no tag. Most training images have no mask.
    """
    generator = np.random.default_rng(0)
    for split in SPLITS:
        for label, name in enumerate(CLASSES):
            for number in range(split.size):
                pixels = _photo(label, generator)
                mask = np.zeros((SIDE, SIDE), bool)
                if generator.random() < split.tagged[label]:
                    mask = _add_tag(pixels, generator)
                path = Path(split.name, name, f"{number:03}.png")
                _save(pixels.clip(0, 255), root / "images" / path)
                if number < split.looked_at * split.size:
                    _save(255 * mask, root / "marks" / path)


def _photo(label: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """A ring or the outline of a square, of any colour and at any place on a coloured background."""
    ground, colour = generator.uniform(40, 120, 3), generator.uniform(130, 250, 3)
    row, column = generator.uniform(10, SIDE - 10, 2)
    radius = generator.uniform(5, 8)
    away = np.abs(_Y - row), np.abs(_X - column)
    distance = np.hypot(*away) if label == 0 else np.maximum(*away) * 1.13  # both shapes have similar areas
    shape = np.abs(distance - radius) < 1.5
    pixels = np.where(shape[..., None], colour, ground)
    return np.asarray(pixels + generator.normal(0, 14, (SIDE, SIDE, 3)))


def _add_tag(pixels: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.bool_]:
    """Put a yellow tag with two bars on a random corner, and return its position."""
    tag = np.full((_TAG, _TAG, 3), (240.0, 205.0, 40.0)) + generator.normal(0, 10, 3)
    tag[[2, 4], 1:-1] = 20
    row, column = (SIDE - _TAG) * generator.integers(0, 2, 2)
    place = slice(row, row + _TAG), slice(column, column + _TAG)
    pixels[place] = tag + generator.normal(0, 6, tag.shape)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[place] = True
    return mask


def _save(pixels: NDArray[np.generic], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
