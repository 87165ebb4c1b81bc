"""Decoy images: a grey patch in a corner gives the class away in training, and misleads at test time.

Ross, Hughes & Doshi-Velez 2017 (their ``decoy_mnist.py``): a 4 x 4 patch overwrites a random corner. In training its grey is
255 - 25 y for class y; in testing 255 - 25 r for a random r. The annotation marks the patch as spurious.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from salreg import annotations
from salreg.data import AnnotatedDataset
from salreg.recipes.data import grey_images
from salreg.recipes.data.few_marks import training_marks
from salreg.recipes.data.loading import loader
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.networks.classifier import Classifier
from salreg.recipes.networks.image_networks import SmallViT

PATCH = 4
_HIDDEN = {"mlp": (50, 30), "deep_mlp": (100, 50, 25), "gelu_mlp": (50, 30)}
GROUPS = ("patch lies", "patch agrees")


class Decoys(NamedTuple):
    """Images ``(N, 1, 28, 28)`` in [0, 1], labels, groups (whether the patch agrees) and annotations ``(N, 1, 28, 28)``."""

    images: Tensor
    labels: Tensor
    groups: Tensor
    annotations: Tensor


def add_decoys(images: Tensor, labels: Tensor, *, informative: bool, seed: int, marked: str = "spurious") -> Decoys:
    """Put a patch into a random corner of each image.

    Args:
        images: ``(N, H, W)`` uint8.
        labels: ``(N,)``, 0 to 9.
        informative: Whether the grey is the label's, or that of a random class.
        seed: The seed for drawing corners and random greys.
        marked: The annotation: the patch as ``spurious``, the drawing (all that is not black) as ``relevant``, or ``both``.

    Raises:
        ValueError: ``marked`` is none of these.
    """
    rng = np.random.default_rng(seed)
    patch = corners(len(images), images.shape[1:], PATCH, rng)
    classes = labels if informative else torch.from_numpy(rng.integers(0, 10, len(images)))
    grey = (255 - 25 * classes).to(torch.uint8)[:, None, None]
    pixels = torch.where(patch, grey, images).float().unsqueeze(1) / 255
    return Decoys(pixels, labels, (classes == labels).long(), _marks(patch, (images > 1) & ~patch, marked))


def corners(count: int, size: Sequence[int], patch: int, rng: np.random.Generator) -> Tensor:
    """Masks ``(N, H, W)`` of a square of ``patch`` x ``patch`` pixels in a random corner; ``size`` is (H, W)."""
    bottom, right = torch.from_numpy(rng.integers(0, 2, (2, count))).bool()
    height, width = size
    rows, columns = torch.arange(height), torch.arange(width)
    in_rows = torch.where(bottom[:, None], rows >= height - patch, rows < patch)
    in_columns = torch.where(right[:, None], columns >= width - patch, columns < patch)
    return in_rows[:, :, None] & in_columns[:, None, :]


def _marks(patch: Tensor, drawing: Tensor, marked: str) -> Tensor:
    sides = {"spurious": ("spurious",), "relevant": ("relevant",), "both": ("spurious", "relevant")}
    if marked not in sides:
        raise ValueError(f"data.marks must be spurious, relevant or both, not {marked!r}.")
    masks = {"spurious": patch.unsqueeze(1), "relevant": drawing.unsqueeze(1)}
    return annotations.from_mask(**{side: masks[side] for side in sides[marked]})


def without_decoys(images: Tensor, labels: Tensor) -> Decoys:
    """The images unchanged and without marks."""
    pixels = images.float().unsqueeze(1) / 255
    return Decoys(pixels, labels, torch.zeros_like(labels), torch.zeros(pixels.shape, dtype=torch.int8))


def build(config: DictConfig) -> Experiment:
    """Build the recipe's data and module."""
    raw = grey_images.load(config.data.name, config.data.root, config.data.download)
    test = add_decoys(raw.test_images, raw.test_labels, informative=False, seed=1)
    if config.data.decoy:
        train = add_decoys(raw.train_images, raw.train_labels, informative=True, seed=0, marked=config.data.marks)
    else:
        train = without_decoys(raw.train_images, raw.train_labels)
        test = test._replace(images=without_decoys(raw.test_images, raw.test_labels).images)
    order = torch.from_numpy(np.random.default_rng(2).permutation(len(train.labels)))
    held_out, kept = order[: config.data.validation], order[config.data.validation :]
    annotated = _annotated(train, kept)
    if config.data.decoy:
        annotated = training_marks(annotated, config)
    module = Classifier(build_model(config.model.name), groups=GROUPS, **config.optimizer)
    return Experiment(
        module,
        train=loader(annotated, config.data, shuffle=True),
        validation=loader(_annotated(train, held_out), config.data),
        test=loader(_annotated(test, torch.arange(len(test.labels))), config.data),
    )


def build_model(name: str) -> nn.Module:
    """The network of that name.

    ``mlp``: 784-50-30-10 (Ross et al.); ``gelu_mlp``: the same with GELUs. ``deep_mlp``: 784-100-50-25-10. ``cnn``: 20 and 50
    channels, 256 units (XIL). ``vit``: a small transformer over patches.
    """
    if name in _HIDDEN:
        sizes, act = (784, *_HIDDEN[name]), nn.GELU if name == "gelu_mlp" else nn.ReLU
        hidden = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), act())]
        return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(sizes[-1], 10))
    if name == "cnn":
        return nn.Sequential(
            nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(800, 256), nn.ReLU(), nn.Linear(256, 10),
        )  # fmt: skip
    if name == "vit":
        return SmallViT(10, 28, channels=1)
    raise ValueError(f"model.name must be mlp, gelu_mlp, deep_mlp, cnn or vit, not {name!r}.")


def _annotated(decoys: Decoys, chosen: Tensor) -> AnnotatedDataset:
    images, labels, groups, marks = (tensor[chosen] for tensor in decoys)
    return AnnotatedDataset(TensorDataset(images, labels, groups), marks)
