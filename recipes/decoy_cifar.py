"""CIFAR-10 with a coloured patch that gives the class away in training, and lies at test time.

The patch is on a random corner; its colour is that of the class in training, of a random class in testing. Shifting and
mirroring the images moves the marks with the patches.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from salreg import annotations
from salreg.data import AnnotatedDataset, AnnotatedSample, Augmented
from salreg.recipes import cifar, image_networks
from salreg.recipes.classifier import Classifier
from salreg.recipes.color_mnist import COLORS
from salreg.recipes.decoy import GROUPS, Decoys, corners
from salreg.recipes.experiment import Experiment

PATCH = 6


class Photos(TensorDataset):
    """Samples ``(image (3, 32, 32) in [0, 1], label, group)``."""

    classes = cifar.CLASSES


def add_decoys(images: Tensor, labels: Tensor, *, informative: bool, seed: int) -> Decoys:
    """Put a patch on a random corner of each image.

    Args:
        images: ``(N, 3, H, W)`` uint8.
        labels: ``(N,)``, 0 to 9.
        informative: Whether the colour is that of the label, or of a random class.
        seed: Draws corners and random colours.

    Returns:
        Images ``(N, 3, H, W)`` in [0, 1] and annotations ``(N, 1, H, W)``.
    """
    rng = np.random.default_rng(seed)
    patch = corners(len(images), images.shape[2:], PATCH, rng).unsqueeze(1)
    classes = labels if informative else torch.from_numpy(rng.integers(0, len(COLORS), len(images)))
    pixels = torch.where(patch, COLORS[classes].view(-1, 3, 1, 1), images.float() / 255)
    return Decoys(pixels, labels, (classes == labels).long(), annotations.from_mask(spurious=patch))


def build(config: DictConfig) -> Experiment:
    """Data and module of the recipe."""
    data = config.data
    raw = cifar.made_images() if data.root is None else cifar.load(Path(data.root))
    train = add_decoys(raw.train_images, raw.train_labels, informative=True, seed=0)
    test = add_decoys(raw.test_images, raw.test_labels, informative=False, seed=1)
    if not data.decoy:
        nothing = torch.zeros_like(train.annotations)
        train = train._replace(images=raw.train_images.float() / 255, annotations=nothing)
        test = test._replace(images=raw.test_images.float() / 255)
    order = torch.randperm(len(train.labels), generator=torch.Generator().manual_seed(2))
    held_out, kept = order[: config.data.validation], order[config.data.validation :]
    net = image_networks.build(config.model, len(cifar.CLASSES), cifar.SIDE)
    return Experiment(
        Classifier(net, GROUPS, len(cifar.CLASSES), **config.optimizer),
        train=_loader(Augmented(_annotated(train, kept), flip=data.flip, crop=data.crop), data, shuffle=True),
        validation=_loader(_annotated(train, held_out), data),
        test=_loader(_annotated(test, torch.arange(len(test.labels))), data),
    )


def _annotated(decoys: Decoys, chosen: Tensor) -> AnnotatedDataset:
    images, labels, groups, marks = (tensor[chosen] for tensor in decoys)
    return AnnotatedDataset(Photos(images, labels, groups), marks)


def _loader(dataset: Dataset[AnnotatedSample], data: Any, shuffle: bool = False) -> DataLoader[Any]:
    return DataLoader(dataset, data.batch_size, shuffle=shuffle, num_workers=data.workers)
