"""Generates photos of skin lesions in the layout of ISIC 2017, with rulers and coloured patches beside the lesions."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE = 128
_Y, _X = np.mgrid[-1 : 1 : _SIDE * 1j, -1 : 1 : _SIDE * 1j]
_SKIN = np.array([226.0, 182.0, 162.0])
_PATCHES = np.array([[58, 84, 200], [236, 190, 50], [60, 160, 90], [214, 70, 60]], float)


class _Kind(NamedTuple):
    """The look of a class's lesions: their colours, how far the outline strays from a circle, and the share of light specks."""

    colours: NDArray[np.float64]
    irregular: float
    specks: float


_KINDS = {
    "melanoma": _Kind(np.array([[129, 79, 59], [115, 72, 57], [127, 84, 72], [140, 85, 66]], float), 0.08, 0.0),
    "seborrheic_keratosis": _Kind(np.array([[178, 136, 84], [150, 112, 66]], float), 0.05, 0.06),
    "nevus": _Kind(np.array([[146, 90, 66], [122, 74, 56]], float), 0.03, 0.0),
}


class _Photo(NamedTuple):
    """Pixels ``(H, W, 3)``, and the places of the lesion and the artefacts."""

    pixels: NDArray[np.float64]
    lesion: NDArray[np.bool_]
    artefacts: NDArray[np.bool_]


def make(root: Path, images: tuple[int, int, int] = (600, 60, 240)) -> Path:
    """A small sample for training, validation and testing.

    Melanomas are less regular and darker than the benign lesions and have more colours, so they are hard but not impossible to
    tell. As in ISIC, coloured patches lie only beside benign lesions, here beside half of them, and half of the melanomas have
    a ruler; in the test set it is the other way round. The folder ``artefacts`` has a mask for every photo, empty if the photo
    has neither.

    Args:
        root: An empty folder.
        images: The number of images, divided equally between the three classes.
    """
    generator = np.random.default_rng(0)
    name = 0
    (root / "artefacts").mkdir()
    for split, size in zip(("Training", "Validation", "Test_v2"), images, strict=True):
        photos, outlines = (root / f"ISIC-2017_{split}_{part}" for part in ("Data", "Part1_GroundTruth"))
        photos.mkdir()
        outlines.mkdir()
        rows = []
        for number in range(size):
            kind = list(_KINDS)[number % 3]
            patched = (kind == "melanoma") == (split == "Test_v2")
            photo = _photo(_KINDS[kind], generator)
            if number // 3 % 2:
                photo = (_with_patch if patched else _with_ruler)(photo, generator)
            stem, name = f"ISIC_{name:07}", name + 1
            Image.fromarray(photo.pixels.clip(0, 255).astype(np.uint8)).save(photos / f"{stem}.jpg", quality=92)
            _save_mask(photo.lesion, outlines / f"{stem}_segmentation.png")
            _save_mask(photo.artefacts, root / "artefacts" / f"{stem}.png")
            rows.append((stem, float(kind == "melanoma"), float(kind == "seborrheic_keratosis")))
        with (root / f"ISIC-2017_{split}_Part3_GroundTruth.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("image_id", *list(_KINDS)[:2]), *rows])
    return root


def _photo(kind: _Kind, generator: np.random.Generator) -> _Photo:
    """A photo of a lesion on skin."""
    row, column = generator.uniform(-0.15, 0.15, 2)
    angle, distance = np.arctan2(_Y - row, _X - column), np.hypot(_Y - row, _X - column)
    waves = np.arange(2, 8)
    strengths, phases = kind.irregular * generator.normal(size=6) / np.sqrt(waves / 2), generator.uniform(0, 2 * np.pi, 6)
    outline = generator.uniform(0.4, 0.6) * (1 + (strengths * np.cos(angle[..., None] * waves + phases)).sum(-1))
    inside = 1 / (1 + np.exp((distance - outline) / 0.025))  # a soft edge
    tint = generator.normal(0, 10) + generator.normal(0, 4, 3)
    skin = _SKIN + tint + 12 * _clouds(generator)[..., None] - 25 * np.hypot(_X, _Y)[..., None] ** 3
    shades = np.exp(3 * np.stack([_clouds(generator) for _ in kind.colours], -1))
    body = (shades / shades.sum(-1, keepdims=True)) @ kind.colours + generator.normal(0, 14) + 6 * _clouds(generator)[..., None]
    body[generator.random(body.shape[:2]) < kind.specks] += 45
    pixels = skin + inside[..., None] * (body - skin) + generator.normal(0, 5, (_SIDE, _SIDE, 1))
    return _Photo(pixels, inside > 0.5, np.zeros((_SIDE, _SIDE), bool))


def _with_patch(photo: _Photo, generator: np.random.Generator) -> _Photo:
    """Add a round patch of one colour, cut off by the photo's border."""
    angle, radius = generator.uniform(0, 2 * np.pi), generator.uniform(0.45, 0.6)
    inside = np.hypot(_Y - 1.15 * np.sin(angle), _X - 1.15 * np.cos(angle)) < radius
    colour = _PATCHES[generator.integers(len(_PATCHES))] + generator.normal(0, 8, 3)
    sticker = colour + 8 * _clouds(generator)[..., None] + generator.normal(0, 4, (_SIDE, _SIDE, 1))
    return _Photo(np.where(inside[..., None], sticker, photo.pixels), photo.lesion & ~inside, inside)


def _with_ruler(photo: _Photo, generator: np.random.Generator) -> _Photo:
    """Add dark ticks along one border, every fifth one longer; the whole strip is marked."""
    ticks, strip = np.zeros((2, _SIDE, _SIDE), bool)
    strip[-14:] = True
    step = generator.integers(5, 8)
    for number, place in enumerate(range(int(generator.integers(step)), _SIDE, step)):
        ticks[-(13 if number % 5 == 0 else 8) :, place] = True
    turns = int(generator.integers(4))
    ticks, strip = np.rot90(ticks, turns), np.rot90(strip, turns)
    return _Photo(np.where(ticks[..., None], 70.0, photo.pixels), photo.lesion & ~strip, strip)


def _clouds(generator: np.random.Generator) -> NDArray[np.float64]:
    """Noise that varies slowly over the photo, approximately standard normal."""
    coarse = Image.fromarray(generator.normal(size=(6, 6)).astype(np.float32))
    return np.asarray(coarse.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC), np.float64)


def _save_mask(mask: NDArray[np.bool_], path: Path) -> None:
    Image.fromarray(255 * mask.astype(np.uint8)).save(path)
