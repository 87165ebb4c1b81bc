"""Skin lesions: the diagnosis should come from the lesion, not from rulers, coloured patches and dark corners around it.

ISIC 2017 in its official layout: images, diagnoses (part 3) and outlines of the lesions (part 1) of a training, a validation
and a test set. If somebody has drawn the rulers and patches, these are marked spurious; otherwise the lesion is marked relevant
and everything outside it spurious.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig
from pytorch_lightning.utilities.rank_zero import rank_zero_info
from torch import Tensor

from salreg.annotations import from_mask
from salreg.readers import FileAnnotations, Regions, read_boxes, read_masks
from salreg.readers.masks import read_mask
from salreg.recipes.data.image_files import ImageFiles, divided, loaders, marked
from salreg.recipes.data.made import made
from salreg.recipes.data.made_lesions import make
from salreg.recipes.data.paths import nearest_path
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.networks import image_networks
from salreg.recipes.networks.classifier import Classifier

#: The last class is everything that is neither of the others.
CLASSES = ("melanoma", "seborrheic_keratosis", "nevus")
SPLITS = ("Training", "Validation", "Test_v2")
OUTLINES = ("both", "relevant", "spurious")
MARKS = ("artefacts", *OUTLINES)


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
    """The images of all splits, and the indices of the images of each split. The groups are the classes.

    Raises:
        FileNotFoundError: A table or an image is missing.
        ValueError: A table lacks a column, or a row names several diagnoses.
    """
    paths: list[Path] = []
    labels: list[int] = []
    splits: list[list[int]] = []
    for split in SPLITS:
        table = root / f"ISIC-2017_{split}_Part3_GroundTruth.csv"
        if not table.is_file():
            raise FileNotFoundError(
                f"{table} is not there{nearest_path(table)}. "
                f"Point data.root at the folder with the unpacked archives of the ISIC 2017 challenge "
                f"(ISIC-2017_{split}_Data, ISIC-2017_{split}_Part1_GroundTruth, ...), or leave data.root empty for a small "
                "generated sample."
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
    """The regions of each image by its path relative to the root.

    Raises:
        ValueError: ``marked`` is neither ``both`` nor ``relevant`` nor ``spurious``.
    """
    if marked not in OUTLINES:
        raise ValueError(f"data.marks must be {', '.join(MARKS)}, not {marked!r}.")
    return {
        f"ISIC-2017_{split}_Data/{path.stem.removesuffix('_segmentation')}": Lesion(path, marked)
        for split in SPLITS
        for path in sorted((root / f"ISIC-2017_{split}_Part1_GroundTruth").glob("*_segmentation.png"))
    }


def build(config: DictConfig) -> Experiment:
    """Build the recipe's data and module. If the artefacts are marked, each class has two groups: with and without them."""
    data = config.data
    root = made(make) if data.root is None else Path(data.root)
    images, splits = read(root)
    annotations = FileAnnotations(images.paths, _regions(root, data))
    unseen = len(annotations.without)
    groups: Sequence[str] = CLASSES
    if data.marks != "artefacts":
        rank_zero_info(f"salreg: {len(images)} images, {unseen} of them without the outline of the lesion.")
    else:
        has = marked(images, annotations)
        rank_zero_info(
            f"salreg: {len(images)} images, {sum(has)} of them with artefacts; nobody looked at {unseen}, which count as "
            "images without artefacts."
        )
        images.groups = [label + len(CLASSES) * one for label, one in zip(images.labels, has, strict=True)]
        groups = [f"{name} {which} artefacts" for which in ("without", "with") for name in CLASSES]
        if not data.artefacts_in_training:
            splits[:2] = [[index for index in split if not has[index]] for split in splits[:2]]
    net = image_networks.build(config.model, len(CLASSES), data.size)
    module = Classifier(net, groups, len(CLASSES), **config.optimizer)
    return Experiment(module, *loaders(divided(images, annotations, splits), data))


def _regions(root: Path, data: DictConfig) -> Mapping[str, Regions]:
    if data.marks != "artefacts":
        if not data.artefacts_in_training:
            raise ValueError("data.artefacts_in_training=false needs data.marks=artefacts, which says where they are.")
        return read_lesions(root, data.marks)
    if data.root is None:
        return read_masks(spurious=root / "artefacts")
    if data.artefacts is None:
        raise ValueError(
            "data.artefacts is missing: a folder of masks, or a CSV of boxes, of the rulers and patches. Without one, "
            "data.marks=both marks the lesions, whose outlines come with the images."
        )
    path = Path(data.artefacts)
    return read_masks(spurious=path) if path.is_dir() else read_boxes(path)


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
