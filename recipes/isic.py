"""Skin lesions: the diagnosis should come from the lesion, not from rulers, coloured patches and dark corners around it.

ISIC 2017 in its official layout: images, diagnoses (part 3) and outlines of the lesions (part 1) of a training, a validation
and a test set. The lesion is marked relevant and what is outside spurious.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import DictConfig
from PIL import Image
from pytorch_lightning.utilities.rank_zero import rank_zero_info
from torch import Tensor

from salreg.annotations import from_mask
from salreg.readers import FileAnnotations, Regions
from salreg.readers.masks import read_mask
from salreg.recipes import image_networks
from salreg.recipes.classifier import Classifier
from salreg.recipes.experiment import Experiment
from salreg.recipes.image_files import ImageFiles, divided, loaders
from salreg.recipes.made import made

#: Of which the last is everything that is neither of the others.
CLASSES = ("melanoma", "seborrheic_keratosis", "nevus")
SPLITS = ("Training", "Validation", "Test_v2")
MARKS = ("both", "relevant", "spurious")


@dataclass(frozen=True, slots=True)
class Lesion:
    """The mask of a lesion's outline, and which side of it is marked."""

    path: Path
    marked: str

    def draw(self, size: tuple[int, int]) -> Tensor:
        """See ``salreg.readers.Regions``."""
        lesion = read_mask(self.path)
        sides = {"relevant": lesion, "spurious": ~lesion}
        return from_mask(**(sides if self.marked == "both" else {self.marked: sides[self.marked]}))


def read(root: Path) -> tuple[ImageFiles, list[list[int]]]:
    """The images of all splits, and the numbers of those of each split. The groups are the classes.

    Raises:
        FileNotFoundError: A table or an image is missing.
        ValueError: A table without the columns, or a row that names several diagnoses.
    """
    paths: list[Path] = []
    labels: list[int] = []
    splits: list[list[int]] = []
    for split in SPLITS:
        table = root / f"ISIC-2017_{split}_Part3_GroundTruth.csv"
        if not table.is_file():
            raise FileNotFoundError(
                f"{table} is not there. Point data.root at the folder with the unpacked archives of the ISIC 2017 challenge "
                f"(ISIC-2017_{split}_Data, ISIC-2017_{split}_Part1_GroundTruth, ...), or leave data.root empty for a small "
                "made sample."
            )
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        try:
            found = [_path(root, split, row["image_id"]) for row in rows]
            labels += [_label(row, table) for row in rows]
        except KeyError as error:
            raise ValueError(f"{table} has no column {error}.") from error
        splits.append(list(range(len(paths), len(paths) + len(found))))
        paths += found
    return ImageFiles(root, paths, labels, labels, CLASSES), splits


def read_lesions(root: Path, marked: str) -> dict[str, Regions]:
    """The regions of each image by its path below the root.

    Raises:
        ValueError: ``marked`` is neither ``both`` nor ``relevant`` nor ``spurious``.
    """
    if marked not in MARKS:
        raise ValueError(f"data.marks is {', '.join(MARKS)}, not {marked!r}.")
    return {
        f"ISIC-2017_{split}_Data/{path.stem.removesuffix('_segmentation')}": Lesion(path, marked)
        for split in SPLITS
        for path in sorted((root / f"ISIC-2017_{split}_Part1_GroundTruth").glob("*_segmentation.png"))
    }


def build(config: DictConfig) -> Experiment:
    """Data and module of the recipe."""
    root = made(make) if config.data.root is None else Path(config.data.root)
    images, splits = read(root)
    annotations = FileAnnotations(images.paths, read_lesions(root, config.data.marks))
    rank_zero_info(f"salreg: {len(images)} images, {len(annotations.without)} of them without the outline of the lesion.")
    net = image_networks.build(config.model, len(CLASSES), config.data.size)
    module = Classifier(net, CLASSES, len(CLASSES), **config.optimizer)
    return Experiment(module, *loaders(divided(images, annotations, splits), config.data))


def make(root: Path) -> None:
    """A small sample in the same layout: round, pointed and speckled blots; in training a coloured patch lies beside the
    round ones."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    for split, size in zip(SPLITS, (90, 30, 60), strict=True):
        images, outlines = (root / f"ISIC-2017_{split}_{part}" for part in ("Data", "Part1_GroundTruth"))
        images.mkdir()
        outlines.mkdir()
        rows: list[tuple[str, float, float]] = []
        for number in range(size):
            label = number % 3
            row, column = generator.integers(26, 38, 2)
            angle = np.arctan2(y - row, x - column)
            lesion = np.hypot(y - row, x - column) < 13 + (4 * np.sin(5 * angle) if label == 0 else 0)
            pixels = generator.integers(170, 220, (64, 64, 1)) + np.array([20, -20, -40])
            pixels[lesion] -= 90
            if label == 1:
                pixels[lesion & (generator.random((64, 64)) < 0.2)] += 60
            if label == 2 and split == "Training":
                pixels[20:44, 2:9] = (60, 90, 220)
            name = f"ISIC_{len(rows):07}"
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(images / f"{name}.jpg")
            Image.fromarray(255 * lesion.astype(np.uint8)).save(outlines / f"{name}_segmentation.png")
            rows.append((name, float(label == 0), float(label == 1)))
        with (root / f"ISIC-2017_{split}_Part3_GroundTruth.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("image_id", *CLASSES[:2]), *rows])


def _path(root: Path, split: str, name: str) -> Path:
    path = Path(f"ISIC-2017_{split}_Data") / f"{Path(name).name}.jpg"
    if not (root / path).is_file():
        raise FileNotFoundError(f"The image {root / path} is missing.")
    return path


def _label(row: dict[str, str], table: Path) -> int:
    given = [number for number, name in enumerate(CLASSES[:-1]) if float(row[name]) == 1]
    if len(given) > 1:
        raise ValueError(f"{table}: {row['image_id']} has several diagnoses.")
    return given[0] if given else len(CLASSES) - 1
