"""``salreg annotations propagate``: carries marks over from the images that somebody looked at to a whole folder."""

import csv
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from shlex import quote

import numpy as np
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate
from tqdm import tqdm

from salreg.data import AnnotatedDataset
from salreg.propagation import Propagated, propagate
from salreg.propagation.influence import Model
from salreg.readers import SIDES, FileAnnotations, Regions
from salreg.readers.names import stem
from salreg.readers.pictures import opened
from salreg.recipes.command.contact_sheet import SHOWN, check_sheet, save_sheet, tile
from salreg.recipes.data.image_files import ImageFiles
from salreg.recipes.data.paths import nearest_path
from salreg.recipes.training.config import ConfigError
from salreg.recipes.training.finished_run import load_weights
from salreg.recipes.training.run import build


def carry_over(
    root: Path,
    images: list[str],
    regions: Mapping[str, Regions],
    out: Path,
    sheet: Path,
    *,
    least_quality: float,
    model: Model | None = None,
    seed: int = 0,
) -> str:
    """Write a mask for every image below a folder, a contact sheet, and a list of the images to look at next.

    Masks are 255 where something is spurious and 0 elsewhere, as ``read_masks`` reads them. Those of the images that somebody
    looked at are copied; the others come from ``salreg.propagation``. If there are relevant marks, too, the masks are written
    to two folders, ``spurious`` and ``relevant``.

    Args:
        root: The images' folder.
        images: Their paths relative to it.
        regions: The regions that a reader returned.
        out: The folder of masks to create. The list is saved beside it: ``<out>_look_next.csv``, with the columns ``path``,
            ``uncertainty`` and, with a model, ``influence``.
        sheet: The PNG to write.
        least_quality: The IoU on held-out marked images below which nothing is written.
        model: A function from a batch of images ``(B, 3, H, W)`` in [0, 1] to logits.
        seed: The seed of all random numbers.

    Returns:
        A text that says what was done and what to do next.

    Raises:
        FileExistsError: One of the files exists already, or the folder exists and is not empty.
        OSError: They cannot be written there.
        ValueError: They would lie among the images, or the picture's format is unknown; no annotation matches an image, an
            annotation or image cannot be read, or the quality is too low.
    """
    listed = out.with_name(f"{out.name}_look_next.csv")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} exists already; nothing was written. Name another folder with --out.")
    if listed.exists():
        raise FileExistsError(f"{listed} exists already; nothing was written. Name another folder with --out.")
    check_sheet(sheet)
    for path, option in ((out, "--out"), (sheet, "--sheet")):
        _check_place(path, option, root)
    annotations = FileAnnotations(images, regions, resize=True)
    paths = [Path(image) for image in images]
    dataset = AnnotatedDataset(ImageFiles(root, paths, [0] * len(paths), [0] * len(paths), ["image"]), annotations)
    found = propagate(dataset, least_quality=least_quality, model=model, seed=seed)
    marked = _write_masks(out, images, found)
    if not found.look_at_next:
        return f"Somebody looked at every one of the {len(images)} images already: their masks were copied to {out}."
    _write_list(listed, images, found)
    save_sheet([_tile_of(root, images[index], found.annotations[index]) for index in found.look_at_next[:SHOWN]], sheet)
    theirs = len(images) - len(found.look_at_next)
    return "\n".join(
        [
            str(found.quality),
            f"Masks of {len(images)} images: {out}. {theirs} are your own; of the other {len(found.look_at_next)}, {marked} "
            "have something spurious.",
            f"Picture of the images to look at next: {sheet}",
            f"List of all of them, in that order: {listed}",
            "Next: look at the picture. Mark the images where it is wrong, add them to the annotations and carry the marks "
            f"over again, or train: salreg run image_folder {quote(f'data.root={root}')} {quote(f'data.annotations={out}')}",
        ]
    )


def _check_place(path: Path, option: str, root: Path) -> None:
    """Before anything is learned, whether something can be written there later, and apart from the images."""
    if path.resolve().is_relative_to(root.resolve()):
        raise ValueError(
            f"{path} would lie in the folder of the images, {root}, and be taken for one of them later. Name a place outside "
            f"with {option}."
        )
    there = next(parent for parent in path.absolute().parents if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"{path} cannot be written, because {there} is no folder that you may write to: see {option}.")


def model_of(checkpoint: Path) -> Model:
    """The model of a run of the recipe ``image_folder``: a function from images in [0, 1] of any size to logits.

    Args:
        checkpoint: A file in the run's folder ``checkpoints``; the run's ``config.yaml`` describes its model.

    Raises:
        FileNotFoundError: The checkpoint, its configuration or the images that it was trained on are missing.
        ConfigError: The checkpoint is damaged, or belongs to another recipe or to another model.
    """
    if not checkpoint.is_file():
        raise FileNotFoundError(f"There is no checkpoint {str(checkpoint)!r}{nearest_path(checkpoint)}.")
    settings = checkpoint.parent.parent / "config.yaml"
    if not settings.is_file():
        raise FileNotFoundError(f"There is no {settings}: the checkpoint must be in the folder that `salreg run` created.")
    config = OmegaConf.load(settings)
    if not isinstance(config, DictConfig) or config.get("recipe") != "image_folder":
        raise ConfigError(
            f"{settings} belongs to the recipe {config.get('recipe') if isinstance(config, DictConfig) else None!r}; "
            "--checkpoint accepts only runs of image_folder. In Python, propagate(..., model=...) accepts any model."
        )
    config.model.pretrained = False  # the weights come from the checkpoint
    module, size = build(config).module, int(config.data.size)
    load_weights(module, checkpoint, settings)
    return _resizing(module.eval(), size)


def _resizing(module: Callable[[Tensor], Tensor], size: int) -> Model:
    return lambda images: module(interpolate(images, (size, size), mode="bilinear", antialias=True))


def _write_masks(out: Path, images: list[str], found: Propagated) -> int:
    """Write all masks; returns how many images that nobody looked at have a mark."""
    has_relevant = any(bool((found.annotations[index] > 0).any()) for index in found.looked_at)
    unseen = set(found.look_at_next)
    marked = 0
    for index, name in enumerate(tqdm(_mask_names(images), "Writing", disable=None)):
        annotation = found.annotations[index]
        marked += index in unseen and bool((annotation < 0).any())
        for side, mask in zip(SIDES, (annotation < 0, annotation > 0), strict=True):
            if side == "spurious" or mask.any():
                path = (out / side if has_relevant else out) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask[0].numpy().astype(np.uint8) * np.uint8(255)).save(path)
    return marked


def _mask_names(images: list[str]) -> list[str]:
    """Each image's name with the suffix .png instead of its own, or after its own if another image has the same name before it.

    Example:
        >>> _mask_names(["moles/003.jpg", "moles/004.jpg", "moles/004.tif", "1.2.840.5"])
        ['moles/003.png', 'moles/004.jpg.png', 'moles/004.tif.png', '1.2.840.5.png']
    """
    alike = Counter(stem(image).casefold() for image in images)
    return [f"{stem(image) if alike[stem(image).casefold()] == 1 else image}.png" for image in images]


def _write_list(path: Path, images: list[str], found: Propagated) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "uncertainty", *(["influence"] if found.influence else [])])
        for index in found.look_at_next:
            numbers = [one[index] for one in (found.uncertainty, found.influence) if one]
            writer.writerow([images[index], *(f"{number:.6g}" for number in numbers)])


def _tile_of(root: Path, path: str, annotation: Tensor) -> Image.Image:
    with opened(root / path) as image:
        return tile(image, annotation, path)
