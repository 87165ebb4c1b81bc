"""Toy colours: two rules explain the classes equally well, and the annotation chooses which one is learned.

Ross, Hughes & Doshi-Velez 2017, section 4.1 (their ``toy_colors.py``): images of 5 x 5 pixels in four colours. In class 1 the
four corners have the same colour *and* the three pixels in the middle of the top row have different ones; in class 0 neither
holds. In half of the test images exactly one rule holds, and the label follows the rule that was not marked spurious.
"""

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from salreg import annotations
from salreg.data import AnnotatedDataset
from salreg.recipes.data.loading import loader
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.networks.classifier import Classifier

SIDE = 5
#: Red, green, blue and violet.
COLORS = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 1.0], [0.5, 0.0, 0.5]])
GROUPS = ("rules agree", "one rule alone")
_CORNERS = ([0, 0, -1, -1], [0, -1, 0, -1])
_TOP_MIDDLE = ([0, 0, 0], [1, 2, 3])
_MARKS = {"corners": (_CORNERS,), "top_middle": (_TOP_MIDDLE,), "both": (_CORNERS, _TOP_MIDDLE)}


def draw(corners: Tensor, top_middle: Tensor, generator: torch.Generator) -> Tensor:
    """Colour numbers ``(N, 5, 5)`` of images in which each rule holds or not, as given by booleans ``(N,)``."""
    pixels = torch.randint(4, (len(corners), SIDE, SIDE), generator=generator)
    while True:
        wrong = (corners_equal(pixels) != corners).nonzero().flatten()
        if not len(wrong):
            break
        fresh = torch.randint(4, (len(wrong), 4), generator=generator)
        fresh = torch.where(corners[wrong, None], fresh[:, :1], fresh)
        pixels[wrong[:, None], _CORNERS[0], _CORNERS[1]] = fresh
    while True:
        wrong = (top_middle_different(pixels) != top_middle).nonzero().flatten()
        if not len(wrong):
            return pixels
        pixels[wrong[:, None], _TOP_MIDDLE[0], _TOP_MIDDLE[1]] = torch.randint(4, (len(wrong), 3), generator=generator)


def corners_equal(pixels: Tensor) -> Tensor:
    """The first rule, on colour numbers ``(N, 5, 5)``."""
    corners = pixels[(slice(None), *_CORNERS)]
    return (corners == corners[:, :1]).all(1)


def top_middle_different(pixels: Tensor) -> Tensor:
    """The second rule, on colour numbers ``(N, 5, 5)``."""
    one, two, three = pixels[(slice(None), *_TOP_MIDDLE)].unbind(1)
    return (one != two) & (two != three) & (one != three)


def build(config: DictConfig) -> Experiment:
    """Build the recipe's data and module."""
    if config.data.marks not in _MARKS:
        raise ValueError(f"data.marks must be {', '.join(_MARKS)}, not {config.data.marks!r}.")
    generator = torch.Generator().manual_seed(0)
    data, marks = config.data, _mark(config.data.marks)
    splits = [_agreeing(size, generator) for size in (data.samples, data.samples // 10, data.samples // 2)]
    conflicts = _conflicting(data.samples // 2, data.marks, generator)
    test = tuple(torch.cat(pair) for pair in zip(splits[2], conflicts, strict=True))
    module = Classifier(build_model(), groups=GROUPS, classes=2, **config.optimizer)
    return Experiment(
        module,
        train=loader(_annotated(splits[0], marks), data, shuffle=True),
        validation=loader(_annotated(splits[1], marks), data),
        test=loader(_annotated(test, marks), data),
    )


def build_model() -> nn.Sequential:
    """Ross et al.'s network: 75-50-30-2."""
    return nn.Sequential(nn.Flatten(), nn.Linear(75, 50), nn.ReLU(), nn.Linear(50, 30), nn.ReLU(), nn.Linear(30, 2))


def _agreeing(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    labels = torch.arange(size) % 2
    return draw(labels.bool(), labels.bool(), generator), labels, torch.zeros_like(labels)


def _conflicting(size: int, spurious: str, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Labels follow the rule that is not spurious; if both are, the corners."""
    labels = torch.arange(size) % 2
    followed, other = labels.bool(), ~labels.bool()
    rules = (other, followed) if spurious == "corners" else (followed, other)
    return draw(*rules, generator), labels, torch.ones_like(labels)


def _mark(spurious: str) -> Tensor:
    mask = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    for places in _MARKS[spurious]:
        mask[(slice(None), *places)] = True
    return annotations.from_mask(spurious=mask)


def _annotated(split: tuple[Tensor, ...], mark: Tensor) -> AnnotatedDataset:
    pixels, labels, groups = split
    images = COLORS[pixels].permute(0, 3, 1, 2).contiguous()
    return AnnotatedDataset(TensorDataset(images, labels, groups), mark.expand(len(images), -1, -1, -1))
