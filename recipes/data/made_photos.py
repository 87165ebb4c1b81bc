"""Composes photos of a cat and of a cup of coffee from a few real ones.

A cut-out subject is placed on a piece of a real background, rotated, mirrored, scaled, and in different light. The pictures
come from scikit-image: the cat "Chelsea" by Stéfan van der Walt, the cup by Rachel Michetti, brick, grass and gravel by
CC0 Textures (all CC0), and a rocket and an astronaut's suit by NASA (public domain).
"""

import functools
from importlib.resources import files

import numpy as np
import torch
from PIL import Image
from torch import Tensor

CLASSES = ("cat", "cup")
SIDE = 32
#: The numbers of photos for training and for testing.
TRAIN, TEST = 1000, 400
_BACKGROUNDS = ("brick", "grass", "gravel", "rocket", "suit", "wood")


@functools.cache
def make(count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Compose photos of both classes in turn.

    Returns:
        Images ``(count, 3, 32, 32)`` uint8, and labels ``(count,)`` int64: the numbers of ``CLASSES``.

    Example:
        >>> images, labels = make(4, seed=0)
        >>> images.shape, labels.tolist()
        (torch.Size([4, 3, 32, 32]), [0, 1, 0, 1])
    """
    subjects = [_cutout(name).convert("RGBA") for name in CLASSES]
    backgrounds = [_cutout(name).convert("RGB") for name in _BACKGROUNDS]
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    photos = [_photo(subjects[label], backgrounds[rng.integers(len(backgrounds))], rng) for label in labels]
    return torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels)


def _cutout(name: str) -> Image.Image:
    with (files("salreg.recipes.data") / "cutouts" / f"{name}.webp").open("rb") as file:
        image = Image.open(file)
        image.load()
    return image


def _photo(subject: Image.Image, background: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Pixels ``(32, 32, 3)`` uint8."""
    width = int(rng.integers(SIDE, background.width))
    left, top = (int(rng.integers(background.width - width + 1)) for _ in range(2))
    scene = _lit(background.resize((SIDE, SIDE), box=(left, top, left + width, top + width)), rng)
    subject = subject.rotate(float(rng.uniform(-30, 30)), Image.Resampling.BICUBIC, expand=True)
    if rng.random() < 0.5:
        subject = subject.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    scale = rng.uniform(0.5, 0.9) * SIDE / max(subject.size)
    subject = subject.resize((round(subject.width * scale), round(subject.height * scale)))
    left, top = (int(rng.integers(SIDE - size + 1)) for size in subject.size)
    canvas = Image.fromarray(scene)
    canvas.paste(Image.fromarray(_lit(subject.convert("RGB"), rng)), (left, top), subject.getchannel("A"))
    noisy = np.asarray(canvas, float) + rng.normal(0, 6, (SIDE, SIDE, 3))
    return noisy.clip(0, 255).astype(np.uint8)


def _lit(image: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Change the strength and colour of the light, and desaturate some photos."""
    pixels = np.asarray(image, float)
    grey = pixels.mean(2, keepdims=True)
    light = rng.uniform(0.6, 1.2) * rng.uniform(0.75, 1.15, 3)
    return ((grey + rng.uniform(0.2, 1.0) * (pixels - grey)) * light).clip(0, 255).astype(np.uint8)
