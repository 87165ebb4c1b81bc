"""Photos on which a tag gives the class away in training, and misleads at test time.

As on chest radiographs, where the metal token of a hospital with many sick patients told a network who was sick (Zech et al.
2018): most photos of the second class carry a yellow tag, at any place, and few of the first do; at test time it is the other
way round. The tag always looks the same, so the shortcut is *that there is* a tag. The annotation marks the tag as spurious;
photos without a tag count as looked at, with nothing marked.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.utils.data import TensorDataset

from salreg import annotations
from salreg.data import AnnotatedDataset, Augmented
from salreg.recipes.data import cifar, made_photos
from salreg.recipes.data.few_marks import training_marks
from salreg.recipes.data.loading import loader
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.experiments.decoy import Decoys
from salreg.recipes.networks import image_networks
from salreg.recipes.networks.classifier import Classifier

ANIMALS = {"pet": ("cat", "dog"), "hoofed animal": ("deer", "horse")}
GROUPS = ("tag lies", "tag agrees")
_H = (".......", ".#...#.", ".#...#.", ".#####.", ".#...#.", ".#...#.", ".......")
#: A dark H on yellow, ``(3, 7, 7)`` in [0, 1]; mirrored, it is the same.
TAG = torch.tensor([1.0, 0.85, 0.1]).view(3, 1, 1) * torch.tensor([[pixel == "." for pixel in row] for row in _H])


class Photos(NamedTuple):
    """Photos ``(N, 3, H, W)`` uint8 and labels ``(N,)``, 0 or 1.

    Attributes:
        train: The training photos and labels, in random order.
        test: Those for testing, likewise.
        classes: The names of the labels 0 and 1.
    """

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    classes: tuple[str, ...]


class _Samples(TensorDataset):
    """``(image (3, H, W) in [0, 1], label, group)``."""

    def __init__(self, classes: tuple[str, ...], *tensors: Tensor) -> None:
        super().__init__(*tensors)
        self.classes = classes


def of_two_kinds(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """CIFAR-10's photos of cats and dogs, class 0, and of deer and horses, class 1."""
    kind = torch.full((len(cifar.CLASSES),), -1)
    for number, animals in enumerate(ANIMALS.values()):
        kind[[cifar.CLASSES.index(animal) for animal in animals]] = number
    chosen = kind[labels] >= 0
    return images[chosen], kind[labels[chosen]]


def add_tags(images: Tensor, labels: Tensor, *, tagged: Sequence[float], seed: int) -> Decoys:
    """Put a tag at a random place of some of the images.

    Args:
        images: ``(N, 3, H, W)`` uint8.
        labels: ``(N,)``, 0 or 1.
        tagged: The share of the images of each class that get a tag.
        seed: The seed for drawing images and places.

    Returns:
        Images ``(N, 3, H, W)`` in [0, 1], groups all 0, and annotations ``(N, 1, H, W)``: zeros for an image without a tag.
    """
    rng = np.random.default_rng(seed)
    has_tag = torch.from_numpy(rng.random(len(images))) < torch.tensor(tagged)[labels]
    pixels = images.float() / 255
    marked = torch.zeros(len(images), 1, *images.shape[2:], dtype=torch.bool)
    height, width = TAG.shape[1:]
    for number in has_tag.nonzero().flatten().tolist():
        top, left = rng.integers(images.shape[2] - height + 1), rng.integers(images.shape[3] - width + 1)
        place = (slice(None), slice(top, top + height), slice(left, left + width))
        pixels[number][place] = TAG
        marked[number][place] = True
    return Decoys(pixels, labels, torch.zeros_like(labels), annotations.from_mask(spurious=marked))


def build(config: DictConfig) -> Experiment:
    """Build the recipe's data and module."""
    data = config.data
    _check_shares(data.tagged)
    photos = _made(data.samples) if data.root is None else _animals(Path(data.root), data.samples)
    test = _tagged(*photos.test, data, list(data.tagged)[::-1], seed=1)
    train = _tagged(*photos.train, data, data.tagged, seed=0)
    if not data.tag:
        train = train._replace(annotations=torch.zeros_like(train.annotations))
    held_out, kept = torch.arange(data.validation), torch.arange(data.validation, len(train.labels))
    annotated = _annotated(train, kept, photos.classes)
    if data.tag:
        annotated = training_marks(annotated, config)
    net = image_networks.build(config.model, len(photos.classes), train.images.shape[-1])
    return Experiment(
        Classifier(net, GROUPS, len(photos.classes), **config.optimizer),
        train=loader(Augmented(annotated, flip=data.flip, crop=data.crop), data, shuffle=True),
        validation=loader(_annotated(train, held_out, photos.classes), data),
        test=loader(_annotated(test, torch.arange(len(test.labels)), photos.classes), data),
    )


def _animals(root: Path, samples: int) -> Photos:
    raw = cifar.load(root)
    train, test = of_two_kinds(raw.train_images, raw.train_labels), of_two_kinds(raw.test_images, raw.test_labels)
    return Photos(_drawn(*train, samples), test, tuple(ANIMALS))


def _made(samples: int) -> Photos:
    train, test = min(samples, made_photos.TRAIN), made_photos.TEST
    return Photos(made_photos.make(train, seed=0), made_photos.make(test, seed=1), made_photos.CLASSES)


def _drawn(images: Tensor, labels: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """At most ``samples`` images, in random order."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(2))[:samples]
    return images[order], labels[order]


def _tagged(images: Tensor, labels: Tensor, data: Any, shares: Sequence[float], seed: int) -> Decoys:
    """Images with tags, or unchanged; the groups say whether the presence or absence of a tag agrees with the training data."""
    found = add_tags(images, labels, tagged=list(shares), seed=seed)
    has_tag = found.annotations.flatten(1).any(1)
    often = int(data.tagged[1] > data.tagged[0])
    groups = (has_tag == (labels == often)).long()
    return found._replace(groups=groups, images=found.images if data.tag else images.float() / 255)


def _check_shares(tagged: Any) -> None:
    if len(tagged) != len(ANIMALS) or not all(0 <= share <= 1 for share in tagged):
        raise ValueError(f"data.tagged must be a share in [0, 1] for each of the two classes, not {list(tagged)}.")


def _annotated(decoys: Decoys, chosen: Tensor, classes: tuple[str, ...]) -> AnnotatedDataset:
    images, labels, groups, marks = (tensor[chosen] for tensor in decoys)
    return AnnotatedDataset(_Samples(classes, images, labels, groups), marks)
