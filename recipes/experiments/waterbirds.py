"""Birds on land and on water: the background gives the kind of bird away in training.

Sagawa et al. 2020 put the birds of CUB-200-2011 on backgrounds from Places. For each image, ``metadata.csv`` gives the bird,
the background and the split, and CUB's ``bounding_boxes.txt`` the place of the bird. The bird is marked relevant and everything
outside it spurious.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor

from salreg.annotations import from_boxes
from salreg.recipes.data.few_marks import training_marks
from salreg.recipes.data.image_files import ImageFiles, divided, loaders
from salreg.recipes.data.made import made
from salreg.recipes.data.paths import nearest_path
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.networks import image_networks
from salreg.recipes.networks.classifier import Classifier

CLASSES = ("land bird", "water bird")
#: The index of a group is twice the class, plus 1 on water.
GROUPS = tuple(f"{bird} on {place}" for bird in CLASSES for place in ("land", "water"))
SPLITS = ("train", "validation", "test")
METADATA, BOXES = "metadata.csv", "bounding_boxes.txt"

Box = tuple[float, float, float, float]
_AXES = 0.8  # of the ellipse, as a share of the box's sides
_KEPT = {"both": (-1, 1), "relevant": (0, 1), "spurious": (-1, 0)}


class Birds(NamedTuple):
    """Images, the index of each image's split, and the box ``(x1, y1, x2, y2)`` of its bird in pixels."""

    images: ImageFiles
    splits: list[int]
    boxes: list[Box]


def read(root: Path, boxes: Path) -> Birds:
    """The data set in its official layout.

    Args:
        root: Folder with ``metadata.csv`` and the images.
        boxes: A file of lines ``img_id x y width height``, in pixels of the images.

    Raises:
        FileNotFoundError: One of the files is missing.
        ValueError: A column is missing, a line is not a box, or an image has no box.
    """
    located = _read_boxes(_present(boxes))
    with _present(root / METADATA).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        labels, places = ([int(row[name]) for row in rows] for name in ("y", "place"))
        paths, splits = [Path(row["img_filename"]) for row in rows], [int(row["split"]) for row in rows]
        found = [located[row["img_id"]] for row in rows]
    except KeyError as error:
        raise ValueError(f"{root / METADATA} has no column {error}, or {boxes} has no line {error}.") from error
    groups = [2 * label + place for label, place in zip(labels, places, strict=True)]
    return Birds(ImageFiles(root, paths, labels, groups, CLASSES), splits, found)


class BirdMarks:
    """The annotation ``(1, H, W)`` of each image: 1 where the bird is, if that is marked relevant, -1 elsewhere, if that is
    marked spurious.

    Args:
        boxes: The boxes of all images.
        marked: ``both``, or only ``relevant`` or ``spurious``.
        outline: The region that counts as the bird: its ``box``, or the ``ellipse`` in the middle of the box, with axes of 0.8
            of its sides. The corners of a box show the background, which reveals the place.

    Raises:
        ValueError: ``marked`` or ``outline`` is none of these.
    """

    def __init__(self, boxes: list[Box], marked: str, outline: str = "box") -> None:
        if marked not in _KEPT:
            raise ValueError(f"data.marks must be both, relevant or spurious, not {marked!r}.")
        if outline not in ("box", "ellipse"):
            raise ValueError(f"data.outline must be box or ellipse, not {outline!r}.")
        self.boxes, self.marked, self.outline = boxes, marked, outline

    def __call__(self, index: int, sample: tuple[Tensor, int, int]) -> Tensor:
        height, width = sample[0].shape[-2:]
        marks = from_boxes([self.boxes[index]], (height, width), outside="spurious")
        if self.outline == "ellipse":
            marks[:, ~_ellipse(self.boxes[index], height, width)] = -1
        return marks.clamp(*_KEPT[self.marked])


def _ellipse(box: Box, height: int, width: int) -> Tensor:
    x1, y1, x2, y2 = box
    y, x = torch.arange(height).view(-1, 1) + 0.5, torch.arange(width) + 0.5
    across, down = (2 * x - x1 - x2) / (x2 - x1), (2 * y - y1 - y2) / (y2 - y1)
    return across**2 + down**2 <= _AXES**2


def build(config: DictConfig) -> Experiment:
    """Build the recipe's data and module."""
    data = config.data
    root = made(make) if data.root is None else Path(data.root)
    birds = read(root, root / BOXES if data.boxes is None else Path(data.boxes))
    splits = [[i for i, one in enumerate(birds.splits) if one == number] for number in range(len(SPLITS))]
    empty = [name for name, chosen in zip(SPLITS, splits, strict=True) if not chosen]
    if empty:
        raise ValueError(f"{root / METADATA} has no image for {empty[0]}: its column split is 0, 1 or 2.")
    net = image_networks.build(config.model, len(CLASSES), data.size)
    labels = [birds.images.labels[index] for index in splits[0]] if data.balanced else None
    module = Classifier(net, GROUPS, len(CLASSES), balance=labels, **config.optimizer)
    train, *others = divided(birds.images, BirdMarks(birds.boxes, data.marks, data.outline), splits)
    return Experiment(module, *loaders([training_marks(train, config), *others], data))


def make(root: Path) -> None:
    """Generate a small sample in the same layout: disks and rings on green stripes or blue waves."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    rows, lines = [], []
    for number in range(240):
        split = (0, 0, 0, 1, 2, 2)[number % 6]
        label = number // 6 % 2
        place = label if split == 0 else number // 12 % 2
        pixels = generator.integers(0, 60, (64, 64, 3)).astype(np.uint8)
        pixels[..., 1 + place] += (40 * (1 + np.sin((y if place else x) / 3))).astype(np.uint8)
        row, column = generator.integers(14, 50, 2)
        distance = np.hypot(y - row, x - column)
        pixels[(distance < 11) & ((distance > 6) | (label == 0))] = (190, 170, 150)
        name = f"{label:03}.{CLASSES[label].replace(' ', '_')}/{number:04}.png"
        (root / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(root / name)
        rows.append((number, name, label, split, place, ""))
        lines.append(f"{number} {column - 11} {row - 11} 23 23\n")
    with (root / METADATA).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("img_id", "img_filename", "y", "split", "place", "place_filename"), *rows])
    (root / BOXES).write_text("".join(lines), "utf-8")


def _read_boxes(path: Path) -> Mapping[str, Box]:
    boxes: dict[str, Box] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            image, *edges = line.split()
            x, y, width, height = map(float, edges)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}, is not img_id x y width height: {line[:40]!r}.") from error
        boxes[image] = (x, y, x + width, y + height)
    return boxes


def _present(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there{nearest_path(path)}. "
            f"Point data.root at the folder of Waterbirds with {METADATA}, and data.boxes at {BOXES} of "
            "CUB-200-2011 if that lies elsewhere; or leave data.root empty for a small generated sample."
        )
    return path
