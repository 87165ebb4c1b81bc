"""CIFAR-10 with a colour that gives the class away in training, and misleads at test time.

The colour is that of the class in training (unless ``data.train_color`` is ``random``), and that of a random class in testing.
It fills a patch on a random corner, tints a narrow border around the photo, or fills the right half beside the photo, which is
squeezed into the left half. Shifting and mirroring the images moves the marks with the colours.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import TensorDataset

from salreg import annotations, checks
from salreg.data import AnnotatedDataset, Augmented
from salreg.recipes.data import cifar
from salreg.recipes.data.few_marks import training_marks
from salreg.recipes.data.loading import loader
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.experiments.color_mnist import COLORS
from salreg.recipes.experiments.decoy import GROUPS, Decoys, corners
from salreg.recipes.networks import image_networks
from salreg.recipes.networks.classifier import Classifier

PATCH, BORDER = 6, 2


class Kind(NamedTuple):
    """The way in which a colour is put on a photo.

    Attributes:
        opacity: The share of the colour in the pixels that it covers; the rest is the photo's.
        noise: The standard deviation of the noise that is added to it, pixel by pixel.
        crop: The number of pixels by which images can be shifted without losing the colour; a border would be pushed out.
    """

    opacity: float
    noise: float
    crop: int


KINDS = {"corner": Kind(1, 0, 4), "border": Kind(0.5, 0.1, 0), "half": Kind(1, 0.05, 2)}


class Photos(TensorDataset):
    """Samples ``(image (3, 32, 32) in [0, 1], label, group)``."""

    classes = cifar.CLASSES


def add_decoys(images: Tensor, labels: Tensor, *, informative: bool, seed: int, kind: str = "corner") -> Decoys:
    """Put a colour on each image.

    Args:
        images: ``(N, 3, H, W)`` uint8.
        labels: ``(N,)``, 0 to 9.
        informative: Whether the colour is the label's, or that of a random class.
        seed: The seed for drawing corners, random colours and noise.
        kind: The place of the colour: a ``corner``, the ``border`` or a ``half``.

    Returns:
        Images ``(N, 3, H, W)`` in [0, 1] and annotations ``(N, 1, H, W)``.
    """
    rng = np.random.default_rng(seed)
    places = _places(images, kind, rng)
    classes = labels if informative else torch.from_numpy(rng.integers(0, len(COLORS), len(images)))
    photos, (opacity, noise, _) = _photos(images, kind), KINDS[kind]
    colored = opacity * COLORS[classes].view(-1, 3, 1, 1) + (1 - opacity) * photos
    if noise:
        colored += noise * torch.from_numpy(rng.standard_normal(photos.shape, np.float32))
    pixels = torch.where(places, colored.clamp(0, 1), photos)
    return Decoys(pixels, labels, (classes == labels).long(), annotations.from_mask(spurious=places))


def build(config: DictConfig) -> Experiment:
    """Build the recipe's data and module."""
    data = config.data
    checks.choice(KINDS, **{"data.kind": data.kind})
    checks.choice(("class", "random"), **{"data.train_color": data.train_color})
    raw = cifar.made_images() if data.root is None else cifar.load(Path(data.root))
    informative = data.train_color == "class"
    train = add_decoys(raw.train_images, raw.train_labels, informative=informative, seed=0, kind=data.kind)
    test = add_decoys(raw.test_images, raw.test_labels, informative=False, seed=1, kind=data.kind)
    if not data.decoy:
        nothing = torch.zeros_like(train.annotations)
        train = train._replace(images=_photos(raw.train_images, data.kind), annotations=nothing)
        test = test._replace(images=_photos(raw.test_images, data.kind))
    order = torch.randperm(len(train.labels), generator=torch.Generator().manual_seed(2))
    held_out, kept = order[: config.data.validation], order[config.data.validation :]
    net = image_networks.build(config.model, len(cifar.CLASSES), cifar.SIDE)
    crop = KINDS[data.kind].crop if data.crop is None else data.crop
    annotated = _annotated(train, kept)
    if data.decoy:
        annotated = training_marks(annotated, config)
    return Experiment(
        Classifier(net, GROUPS, len(cifar.CLASSES), **config.optimizer),
        train=loader(Augmented(annotated, flip=data.flip, crop=crop), data, shuffle=True),
        validation=loader(_annotated(train, held_out), data),
        test=loader(_annotated(test, torch.arange(len(test.labels))), data),
    )


def _places(images: Tensor, kind: str, rng: np.random.Generator) -> Tensor:
    """Masks ``(N, 1, H, W)`` of the places with the colour."""
    count, _, height, width = images.shape
    if kind == "corner":
        return corners(count, (height, width), PATCH, rng).unsqueeze(1)
    places = torch.ones(count, 1, height, width, dtype=torch.bool)
    if kind == "half":
        places[..., : width // 2] = False
    else:
        places[..., BORDER:-BORDER, BORDER:-BORDER] = False
    return places


def _photos(images: Tensor, kind: str) -> Tensor:
    """Photos without a colour, in [0, 1]; for ``half``, they are squeezed into the left half beside grey."""
    photos = images.float() / 255
    if kind == "half":
        height, width = images.shape[2:]
        squeezed = interpolate(photos, (height, width // 2), mode="bilinear", antialias=True)
        photos = torch.cat([squeezed, torch.full_like(photos[..., width // 2 :], 0.5)], dim=3)
    return photos


def _annotated(decoys: Decoys, chosen: Tensor) -> AnnotatedDataset:
    images, labels, groups, marks = (tensor[chosen] for tensor in decoys)
    return AnnotatedDataset(Photos(images, labels, groups), marks)
