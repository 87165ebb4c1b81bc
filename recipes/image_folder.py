"""Your own images, one folder per class, with annotations from masks, a table of boxes or an annotation tool's file."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from PIL import Image
from pytorch_lightning.utilities.rank_zero import rank_zero_info

from salreg.readers import (
    SIDES,
    FileAnnotations,
    Regions,
    Side,
    read_boxes,
    read_coco,
    read_cvat,
    read_label_studio,
    read_masks,
)
from salreg.recipes import image_networks
from salreg.recipes.classifier import Classifier
from salreg.recipes.experiment import Experiment
from salreg.recipes.image_files import ImageFiles, divided, image_paths, is_readable, loaders, marked
from salreg.recipes.made import made


class ImageFolder(ImageFiles):
    """The images ``root/<class>/*.jpg``, all of group 0.

    Args:
        root: The folder of the classes' folders.
        skip_unreadable: Try every image now and leave out those that cannot be read, rather than stopping at the first.

    Attributes:
        skipped: What was left out.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It has fewer than two classes; when a sample is read, an image that cannot be.
    """

    if_unreadable = " data.unreadable=skip leaves it out."

    def __init__(self, root: Path, skip_unreadable: bool = False) -> None:
        if not root.is_dir():
            raise FileNotFoundError(f"There is no folder {str(root)!r} of images.")
        found = [path for path in image_paths(root) if len(path.parts) == 2]
        self.skipped = [path for path in found if not is_readable(root / path)] if skip_unreadable else []
        paths = sorted(set(found) - set(self.skipped))
        classes = sorted({path.parts[0] for path in paths})
        if len(classes) < 2:
            raise ValueError(f"{root} holds images of {classes or 'no class'}; it needs two folders of images or more.")
        super().__init__(root, paths, [classes.index(path.parts[0]) for path in paths], [0] * len(paths), classes)


def read_annotations(path: Path, inside: Side, categories: Mapping[str, Side]) -> dict[str, Regions]:
    """The regions in a folder of masks, a ``.csv`` of boxes, a ``.json`` of COCO's or Label Studio's, or an ``.xml`` of CVAT's.

    A folder that holds none but the folders ``spurious`` and ``relevant`` has the masks of both sides; otherwise ``inside``
    says what its masks are.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: It is none of these, or a file with categories of which none is given.
    """
    if not path.exists():
        raise FileNotFoundError(f"There are no annotations at {str(path)!r}.")
    if path.is_dir():
        names = {entry.name for entry in path.iterdir()}
        by_side = names and names <= set(SIDES)
        return read_masks(**{side: path / side for side in SIDES if side in names} if by_side else {inside: path})
    if path.suffix == ".csv":
        return read_boxes(path, inside=inside)
    if path.suffix in (".json", ".xml"):
        if not categories:
            raise ValueError(
                f"Say which categories of {path} are spurious or relevant: data.categories={{ruler: spurious}} in a recipe, "
                "--category ruler=spurious in a check."
            )
        return _reader(path)(path, categories)
    raise ValueError(
        f"Annotations are a folder of masks, a .csv of boxes, a .json of COCO's or Label Studio's or a .xml of CVAT's, "
        f"not {path.name!r}."
    )


def _reader(path: Path) -> Callable[[Path, Mapping[str, Side]], dict[str, Regions]]:
    if path.suffix == ".xml":
        return read_cvat
    with path.open(encoding="utf-8") as file:
        return read_label_studio if file.read(100).lstrip().startswith("[") else read_coco


def build(config: DictConfig) -> Experiment:
    """Data and module of the recipe; every seed draws the held out images anew."""
    data = config.data
    root = made(made_folder) if data.root is None else Path(data.root)
    annotated = root / "boxes.csv" if data.root is None else data.annotations
    if data.unreadable not in ("fatal", "skip"):
        raise ValueError(f"data.unreadable is fatal or skip, not {data.unreadable!r}.")
    if annotated is None:
        raise ValueError(
            "data.annotations is missing: a folder of masks, a .csv of boxes, a .json of COCO's or Label Studio's, or a .xml "
            "of CVAT's."
        )
    regions = read_annotations(Path(annotated), data.inside, dict(data.categories))
    images = ImageFolder(root, skip_unreadable=data.unreadable == "skip")
    annotations = FileAnnotations(images.paths, regions, resize=data.resize_annotations)
    if data.empty not in ("looked at", "unknown"):
        raise ValueError(f"data.empty is 'looked at' or 'unknown', not {data.empty!r}.")
    count = sum(marked(images, annotations))
    looked_at = count if data.empty == "unknown" else len(images) - len(annotations.without)
    rank_zero_info(
        f"salreg: {len(images)} images of {len(images.classes)} classes: {looked_at} were looked at, {count} carry marks; "
        f"{len(annotations.unused)} annotations without image, {len(images.skipped)} unreadable images left out."
    )
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(config.seed)).tolist()
    held_out = max(int(data.held_out * len(images)), 2)
    if not 0 < data.held_out < 0.5:
        raise ValueError(f"data.held_out is a share in (0, 0.5), of which there are two, not {data.held_out}.")
    splits = order[2 * held_out :], order[held_out : 2 * held_out], order[:held_out]
    net = image_networks.build(config.model, len(images.classes), data.size)
    module = Classifier(net, ["all"], len(images.classes), **config.optimizer)
    return Experiment(module, *loaders(divided(images, annotations, splits, data.empty), data))


def made_folder(root: Path, images: int = 400) -> Path:
    """Noise with bright bars or a bright spot somewhere, and a tag in a corner whose colour gives the class away and which
    ``boxes.csv`` marks."""
    generator = np.random.default_rng(0)
    rows = [("image", "x1", "y1", "x2", "y2")]
    y, x = np.mgrid[:48, :48]
    for number in range(images):
        kind = ("bars", "spot")[number % 2]
        pixels = generator.integers(0, 90, (48, 48, 3), dtype=np.uint8)
        row, column = generator.integers(16, 38, 2)
        distance = np.hypot(y - row, x - column)
        inside = (distance < 10) & ((x % 4 < 2) if kind == "bars" else (distance < 7))
        pixels[inside] += np.uint8(160)
        pixels[:10, :16] = (220, 40, 40) if kind == "bars" else (40, 40, 220)
        (root / kind).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(root / kind / f"{number:03}.png")
        rows.append((f"{kind}/{number:03}.png", "0", "0", "16", "10"))
    with (root / "boxes.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root
