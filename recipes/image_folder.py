"""Your own images, one folder per class, with annotations from a folder of masks, a table of boxes or a COCO file."""

import atexit
import csv
import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from PIL import Image, UnidentifiedImageError
from pytorch_lightning.utilities.rank_zero import rank_zero_info
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from salreg.data import AnnotatedDataset, Augmented
from salreg.readers import FileAnnotations, Regions, Side, files_below, read_boxes, read_coco, read_cvat, read_masks
from salreg.recipes.classifier import Classifier
from salreg.recipes.experiment import Experiment
from salreg.recipes.image_networks import small_resnet

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def image_paths(root: Path) -> list[Path]:
    """The paths of all images below a folder."""
    return [path for path in files_below(root) if path.suffix.lower() in _SUFFIXES]


class ImageFolder(Dataset[tuple[Tensor, int, int]]):
    """Samples ``(image (3, H, W) in [0, 1], label, group 0)`` of ``root/<class>/*.jpg``.

    Args:
        root: The folder of the classes' folders.
        skip_unreadable: Try every image now and leave out those that cannot be read, rather than stopping at the first.

    Attributes:
        classes: The folders' names.
        paths: Each image's path below the root.
        skipped: What was left out.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It has fewer than two classes; when a sample is read, an image that cannot be.
    """

    def __init__(self, root: Path, skip_unreadable: bool = False) -> None:
        if not root.is_dir():
            raise FileNotFoundError(f"There is no folder {str(root)!r} of images.")
        self.root = root
        found = [path for path in image_paths(root) if len(path.parts) == 2]
        self.skipped = [path for path in found if not _is_readable(root / path)] if skip_unreadable else []
        left_out = set(self.skipped)
        self.paths = [path for path in found if path not in left_out]
        self.classes = sorted({path.parts[0] for path in self.paths})
        if len(self.classes) < 2:
            raise ValueError(f"{root} holds images of {self.classes or 'no class'}; it needs two folders of images or more.")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        path = self.paths[index]
        try:
            with Image.open(self.root / path) as image:
                pixels = torch.from_numpy(np.array(image.convert("RGB")))
        except (OSError, UnidentifiedImageError) as error:
            raise ValueError(f"{self.root / path} cannot be read: {error}. data.unreadable=skip leaves it out.") from error
        return pixels.permute(2, 0, 1).float() / 255, self.classes.index(path.parts[0]), 0


def read_annotations(path: Path, inside: Side, categories: Mapping[str, Side]) -> dict[str, Regions]:
    """The regions in a folder of masks, a ``.csv`` of boxes, a COCO ``.json`` or an ``.xml`` of CVAT's.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: It is none of these, or a file with categories of which none is given.
    """
    if not path.exists():
        raise FileNotFoundError(f"There are no annotations at {str(path)!r}.")
    if path.is_dir():
        return read_masks(**{inside: path})
    if path.suffix == ".csv":
        return read_boxes(path, inside=inside)
    if path.suffix in (".json", ".xml"):
        if not categories:
            raise ValueError(
                f"Say which categories of {path} are spurious or relevant: data.categories={{ruler: spurious}} in a recipe, "
                "--category ruler=spurious in a check."
            )
        return (read_coco if path.suffix == ".json" else read_cvat)(path, categories)
    raise ValueError(f"Annotations are a folder of masks, a .csv of boxes, a COCO .json or a CVAT .xml, not {path.name!r}.")


def build(config: DictConfig) -> Experiment:
    """Data and module of the recipe; every seed draws the held out images anew."""
    data = config.data
    root = _made() if data.root is None else Path(data.root)
    annotated = root / "boxes.csv" if data.root is None else data.annotations
    if data.unreadable not in ("fatal", "skip"):
        raise ValueError(f"data.unreadable is fatal or skip, not {data.unreadable!r}.")
    if annotated is None:
        raise ValueError("data.annotations is missing: a folder of masks, a .csv of boxes, a COCO .json or a CVAT .xml.")
    regions = read_annotations(Path(annotated), data.inside, dict(data.categories))
    images = ImageFolder(root, skip_unreadable=data.unreadable == "skip")
    annotations = FileAnnotations(images.paths, regions, resize=data.resize_annotations)
    rank_zero_info(
        f"salreg: {len(images)} images of {len(images.classes)} classes; {len(annotations.without)} without annotation, "
        f"{len(annotations.unused)} annotations without image, {len(images.skipped)} unreadable images left out."
    )
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(config.seed)).tolist()
    held_out = max(int(data.held_out * len(images)), 2)
    if not 0 < data.held_out < 0.5:
        raise ValueError(f"data.held_out is a share in (0, 0.5), of which there are two, not {data.held_out}.")
    base = AnnotatedDataset(images, annotations)
    size = (data.size, data.size)
    plain, augmented = Augmented(base, size), Augmented(base, size, flip=data.flip, crop=data.crop)

    def loader(dataset: Augmented, chosen: list[int], shuffle: bool = False) -> DataLoader[Any]:
        subset = torch.utils.data.Subset(dataset, chosen)
        return DataLoader(subset, data.batch_size, shuffle=shuffle, num_workers=data.workers)

    module = Classifier(small_resnet(len(images.classes)), ["all"], len(images.classes), **config.optimizer)
    return Experiment(
        module,
        train=loader(augmented, order[2 * held_out :], shuffle=True),
        validation=loader(plain, order[held_out : 2 * held_out]),
        test=loader(plain, order[:held_out]),
    )


def made_folder(root: Path, images: int = 120) -> Path:
    """Noise with a bright disk or square somewhere, and a tag in a corner whose colour gives the class away, which is marked in
    ``boxes.csv``."""
    generator = np.random.default_rng(0)
    rows = [("image", "x1", "y1", "x2", "y2")]
    y, x = np.mgrid[:48, :48]
    for number in range(images):
        kind = ("disk", "square")[number % 2]
        pixels = generator.integers(0, 90, (48, 48, 3), dtype=np.uint8)
        row, column = generator.integers(16, 38, 2)
        inside = np.hypot(y - row, x - column) < 8 if kind == "disk" else np.maximum(abs(y - row), abs(x - column)) < 7
        pixels[inside] += np.uint8(120)
        pixels[:6, :10] = (200, 40, 40) if kind == "disk" else (40, 40, 200)
        (root / kind).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(root / kind / f"{number:03}.png")
        rows.append((f"{kind}/{number:03}.png", "0", "0", "10", "6"))
    with (root / "boxes.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root


@functools.cache
def _made() -> Path:
    """One made folder for all trainings of this process, gone with it."""
    folder = tempfile.TemporaryDirectory(prefix="salreg-image-folder-")
    atexit.register(folder.cleanup)
    return made_folder(Path(folder.name))


def _is_readable(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, UnidentifiedImageError):
        return False
    return True
