"""Colour MNIST: the digit's colour gives the class away in training, and is another class's at test time.

Rieger et al. 2020, section 4.2: in training class y has colour y, in testing colour 9 - y. The colour is on the digit itself,
so no mask of pixels can separate it from what matters. But no *single pixel* of the digit should decide: a few pixels of each
digit, drawn anew every epoch, are marked spurious.
"""

import colorsys

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from salreg.data import AnnotatedDataset
from salreg.recipes.data import grey_images
from salreg.recipes.data.loading import loader
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.networks.classifier import Classifier

CLASSES = 10
#: One colour per class, evenly around the colour circle: ``(10, 3)`` in [0, 1].
COLORS = torch.tensor([colorsys.hsv_to_rgb(hue / CLASSES, 1, 1) for hue in range(CLASSES)])


def colored(images: Tensor, colors: Tensor) -> Tensor:
    """Digits ``(N, H, W)`` uint8 in the colours of the classes ``(N,)``: ``(N, 3, H, W)`` in [0, 1]."""
    return images.float().unsqueeze(1) / 255 * COLORS[colors].view(-1, 3, 1, 1)


class SinglePixels:
    """Marks some pixels of the digit as spurious, drawn anew each time in proportion to their brightness.

    Args:
        count: The number of pixels.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, index: int, sample: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        brightness = sample[0].amax(0)
        chosen = torch.multinomial(brightness.flatten(), self.count)
        return -torch.zeros(brightness.numel()).scatter_(0, chosen, 1).view(1, *brightness.shape)


def build(config: DictConfig) -> Experiment:
    """Build the recipe's data and module."""
    if config.data.pixels < 1:
        raise ValueError(f"data.pixels must be at least 1, not {config.data.pixels}.")
    raw = grey_images.load("mnist", config.data.root, config.data.download)
    train: tuple[Tensor, Tensor] = (colored(raw.train_images, raw.train_labels), raw.train_labels)
    reversed_colors = CLASSES - 1 - raw.test_labels if config.data.reversed else raw.test_labels
    test = colored(raw.test_images, reversed_colors), raw.test_labels
    order = torch.randperm(len(train[1]), generator=torch.Generator().manual_seed(2))
    held_out, kept = order[: config.data.validation], order[config.data.validation :]
    pixels = config.data.pixels
    module = Classifier(build_model(), groups=["all"], **config.optimizer)
    return Experiment(
        module,
        train=loader(_annotated(train[0][kept], train[1][kept], pixels), config.data, shuffle=True),
        validation=loader(_annotated(train[0][held_out], train[1][held_out], pixels), config.data),
        test=loader(_annotated(*test, pixels), config.data),
    )


def build_model() -> nn.Sequential:
    """CDEP's network for this data: 20 and 50 channels, 500 units."""
    return nn.Sequential(
        nn.Conv2d(3, 20, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, CLASSES),
    )  # fmt: skip


def _annotated(images: Tensor, labels: Tensor, pixels: int) -> AnnotatedDataset:
    return AnnotatedDataset(TensorDataset(images, labels, torch.zeros_like(labels)), SinglePixels(pixels))
