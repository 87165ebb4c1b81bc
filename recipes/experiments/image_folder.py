"""Your own images, one folder per class, with annotations from masks, a table of boxes or an annotation tool's file."""

import csv
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from pytorch_lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn

from salreg.readers import FileAnnotations, Readings, SkippedAnnotations, read_annotations
from salreg.readers.problems import by_kind
from salreg.recipes.data.image_files import ImageFolder, divided, image_paths, loaders, surveyed
from salreg.recipes.data.made import made
from salreg.recipes.data.volume_files import VolumeFolder, of_volumes, volume_paths
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.networks import image_networks
from salreg.recipes.networks.classifier import Classifier


def read_all(config: Any) -> Readings:
    """The regions that a configuration's ``data`` names.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: The file cannot be read, or its library is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SkippedAnnotations)  # skipped annotations are reported below, as by a check
            regions = read_annotations(
                config.annotations,
                dict(config.categories),
                inside=config.inside,
                columns=dict(config.columns),
                images=config.root,
                line_width=config.line_width,
                strict=config.strict,
            )
    except (ModuleNotFoundError, PermissionError) as error:
        raise ValueError(str(error)) from error
    for line in regions.notes:
        rank_zero_info(f"salreg: {line}")
    for line in by_kind(regions.problems):
        rank_zero_warn(f"salreg: {line}")
    return regions


def build(config: DictConfig) -> Experiment:
    """Build the recipe's data and module; every seed draws the held-out images anew."""
    data = config.data
    root = made(made_folder) if data.root is None else Path(data.root)
    if data.root is None:
        data = OmegaConf.merge(data, {"annotations": str(root / "boxes.csv")})
    if data.unreadable not in ("fatal", "skip"):
        raise ValueError(f"data.unreadable must be fatal or skip, not {data.unreadable!r}.")
    if data.annotations is None:
        raise ValueError(
            "data.annotations is missing: a folder of masks, a .csv of boxes, or the file or folder of an annotation tool."
        )
    images, regions = _images(root, data), read_all(data)
    axes = 3 if isinstance(images, VolumeFolder) else 2
    named = of_volumes(regions, root, images.paths) if axes == 3 else regions
    annotations = FileAnnotations(images.paths, named, resize=data.resize_annotations, size_of=images.size)
    if data.empty not in ("looked at", "unknown"):
        raise ValueError(f"data.empty must be 'looked at' or 'unknown', not {data.empty!r}.")
    has_marks = surveyed(images, annotations, data.strict)
    count = sum(has is True for has in has_marks)
    looked_at = count if data.empty == "unknown" else sum(has is not None for has in has_marks)
    rank_zero_info(
        f"salreg: {len(images)} {images.kind} of {len(images.classes)} classes: {looked_at} were looked at, {count} carry "
        f"marks; {len(annotations.unused)} annotations without image, {len(images.skipped)} unreadable images left out."
    )
    if not count:
        chosen = f"; they have none of {', '.join(map(str, data.categories))}" if data.categories else ""
        rank_zero_warn(f"salreg: no image carries a mark, so there is nothing to train against{chosen}.")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(config.seed)).tolist()
    held_out = max(int(data.held_out * len(images)), 2)
    if not 0 < data.held_out < 0.5:
        raise ValueError(f"data.held_out must be a share in (0, 0.5), because it is held out twice, not {data.held_out}.")
    if len(images) <= 2 * held_out:
        raise ValueError(
            f"{root} holds {len(images)} {images.kind}, of which {held_out} are for validation and {held_out} for testing: "
            "none are left for training."
        )
    splits = order[2 * held_out :], order[held_out : 2 * held_out], order[:held_out]
    net = image_networks.build(config.model, len(images.classes), data.size, axes)
    module = Classifier(net, ["all"], len(images.classes), **config.optimizer)
    return Experiment(module, *loaders(divided(images, annotations, splits, data.empty), data, volumes=axes == 3))


def _images(root: Path, data: Any) -> ImageFolder:
    skip = data.unreadable == "skip"
    if not root.is_dir() or not (volumes := volume_paths(root)):
        return ImageFolder(root, skip, (data.size, data.size))
    if flat := next((path for path in image_paths(root) if len(path.parts) == 2 and path not in volumes), None):
        raise ValueError(f"{root} holds volumes, such as {volumes[0]}, and images, such as {flat}: train on them separately.")
    return VolumeFolder(root, skip, (data.depth or data.size, data.size, data.size))


def made_folder(root: Path, images: int = 400) -> Path:
    """Generate noise with bright bars or a bright spot somewhere, and with a tag in a corner: its colour gives the class away,
    and ``boxes.csv`` marks it."""
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
