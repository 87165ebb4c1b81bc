"""Shortcuts that are put onto real images, with the mask of each: what carrying marks over is measured on."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from salreg.recipes.data import cifar, grey_images
from salreg.recipes.experiments import decoy, decoy_cifar
from salreg.recipes.experiments.color_mnist import COLORS


class Marked(NamedTuple):
    """Images ``(N, C, H, W)`` in [0, 1] and the masks ``(N, 1, H, W)``, booleans, of what was put onto them."""

    images: Tensor
    masks: Tensor


def corner_patch(data: Path) -> Marked:
    """A patch of the class's colour in a random corner of a photo (``recipes/experiments/decoy_cifar.py``)."""
    images, labels = _photos(data)
    decoys = decoy_cifar.add_decoys(images, labels, informative=True, seed=0)
    return Marked(decoys.images, decoys.annotations < 0)


def border(data: Path) -> Marked:
    """A border of one pixel in the class's colour."""
    images, labels = _photos(data)
    masks = torch.ones(len(images), 1, 32, 32, dtype=torch.bool)
    masks[..., 1:-1, 1:-1] = False
    return _painted(images, masks, COLORS[labels].view(-1, 3, 1, 1))


def half(data: Path) -> Marked:
    """A veil of the class's colour over the left, the right, the upper or the lower half."""
    images, labels = _photos(data)
    masks = torch.zeros(len(images), 1, 32, 32, dtype=torch.bool)
    sides = torch.randint(4, (len(images),), generator=_generator())
    for side, half in enumerate(((..., slice(16)), (..., slice(16, None)), (slice(16), ...), (slice(16, None), ...))):
        chosen = masks[sides == side]
        chosen[:, :, half[0], :][..., half[1]] = True
        masks[sides == side] = chosen
    return _painted(images, masks, COLORS[labels].view(-1, 3, 1, 1), opacity=0.4)


def sticker(data: Path) -> Marked:
    """A yellow sticker of 5 x 5 pixels at a random place, on the photos of five of the ten classes."""
    images, labels = _photos(data)
    masks = _boxes(len(images), 32, torch.tensor([5]), torch.tensor([5])) & (labels < 5).view(-1, 1, 1, 1)
    return _painted(images, masks, torch.tensor([0.95, 0.85, 0.1]).view(1, 3, 1, 1))


def transparent_tag(data: Path) -> Marked:
    """A half transparent grey tag with dark stripes, of 6 x 10 pixels, at a random place."""
    images, _ = _photos(data)
    masks = _boxes(len(images), 32, torch.tensor([6]), torch.tensor([10]))
    stripes = 0.9 - 0.5 * (torch.arange(32) % 3 == 0).float().view(1, 1, 1, 32)
    return _painted(images, masks, stripes.expand(1, 3, 32, 32), opacity=0.5)


def blobs(data: Path) -> Marked:
    """A violet blob of irregular outline, of 2% to 20% of the photo, on two of three photos."""
    images, _ = _photos(data)
    generator = _generator()
    angle = torch.rand(len(images), 3, 1, 1, generator=generator) * 2 * torch.pi
    depth = torch.rand(len(images), 3, 1, 1, generator=generator) * 0.25
    radius = 2.5 + 6 * torch.rand(len(images), 1, 1, generator=generator)
    centre = 4 + 24 * torch.rand(len(images), 2, 1, 1, generator=generator)
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    dy, dx = y - centre[:, 0], x - centre[:, 1]
    turned = torch.atan2(dy, dx).unsqueeze(1)
    waves = 1 + (depth * torch.sin(turned * torch.tensor([2.0, 3.0, 5.0]).view(1, 3, 1, 1) + angle)).sum(1)
    present = torch.rand(len(images), 1, 1, generator=generator) < 2 / 3
    masks = ((dy.square() + dx.square()).sqrt() < radius * waves) & present
    shade = 0.8 + 0.4 * torch.rand(len(images), 1, 1, 1, generator=generator)
    return _painted(images, masks.unsqueeze(1), torch.tensor([0.45, 0.2, 0.6]).view(1, 3, 1, 1) * shade)


def grey_patch(name: str) -> Callable[[Path], Marked]:
    """A grey patch in a random corner of MNIST's or Fashion-MNIST's images (``recipes/experiments/decoy.py``)."""

    def made(data: Path) -> Marked:
        raw = grey_images.load(name, data / name.replace("_", "-"), download=False)
        decoys = decoy.add_decoys(raw.train_images[:10000], raw.train_labels[:10000], informative=True, seed=0)
        return Marked(decoys.images, decoys.annotations < 0)

    made.__doc__ = grey_patch.__doc__
    return made


def ruler(data: Path) -> Marked:
    """A ruler with ticks, of variable length and upright or lying, on two of three photos of birds (128 x 128 pixels)."""
    root = data / "waterbirds"
    with (root / "metadata.csv").open(encoding="utf-8", newline="") as file:
        paths = [root / row["img_filename"] for row in csv.DictReader(file)]
    images = torch.stack([torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1) for path in paths])
    generator = _generator()
    lying = torch.rand(len(paths), generator=generator) < 0.5
    long = torch.randint(50, 110, (len(paths),), generator=generator)
    wide = torch.randint(10, 16, (len(paths),), generator=generator)
    masks = _boxes(len(paths), 128, torch.where(lying, wide, long), torch.where(lying, long, wide))
    masks &= (torch.rand(len(paths), generator=generator) < 2 / 3).view(-1, 1, 1, 1)
    along = torch.where(lying.view(-1, 1, 1), torch.arange(128).view(1, 1, -1), torch.arange(128).view(1, -1, 1))
    tint = 0.7 + 0.3 * torch.rand(len(paths), 3, 1, 1, generator=generator)
    return _painted(images, masks, tint * torch.where(along % 6 == 0, 0.15, 0.95).unsqueeze(1))


CASES: dict[str, Callable[[Path], Marked]] = {
    "corner patch, CIFAR": corner_patch,
    "border of a pixel, CIFAR": border,
    "veil over half, CIFAR": half,
    "sticker on half the classes, CIFAR": sticker,
    "half transparent tag, CIFAR": transparent_tag,
    "irregular blobs, CIFAR": blobs,
    "grey patch, MNIST": grey_patch("mnist"),
    "grey patch, Fashion-MNIST": grey_patch("fashion_mnist"),
    "ruler, Waterbirds 128 px": ruler,
}


def _photos(data: Path) -> tuple[Tensor, Tensor]:
    raw = cifar.load(data / "cifar10")
    return raw.train_images, raw.train_labels


def _boxes(count: int, side: int, heights: Tensor, widths: Tensor) -> Tensor:
    """One box of the given size at a random place of each image."""
    generator = _generator()
    top, left = ((torch.rand(count, generator=generator) * (side - size + 1)).long().view(-1, 1) for size in (heights, widths))
    places = torch.arange(side)
    rows, columns = (
        (places >= start) & (places < start + size.view(-1, 1)) for start, size in ((top, heights), (left, widths))
    )
    return (rows[:, :, None] & columns[:, None, :]).unsqueeze(1)


def _painted(images: Tensor, masks: Tensor, colours: Tensor, opacity: float = 1.0) -> Marked:
    pixels = images.float() / 255
    return Marked(torch.where(masks, torch.lerp(pixels, colours.expand_as(pixels), opacity), pixels), masks)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
