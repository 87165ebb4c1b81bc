"""Images in files that are read when they are needed."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from pytorch_lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from salreg.data import AnnotatedDataset, Augmented
from salreg.readers import FileAnnotations, Problem, SkippedAnnotations, files_below
from salreg.readers.dicom import is_dicom
from salreg.readers.pictures import opened, size_of
from salreg.readers.problems import by_kind
from salreg.recipes.data.loading import loader
from salreg.recipes.data.paths import nearest_path

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".svs", ".ndpi", ".dcm", ".dicom", ".nii", ".nii.gz")
_OTHERS = (".json", ".csv", ".xml", ".txt", ".md", ".yaml")


def image_paths(root: Path) -> list[Path]:
    """The paths of all images below a folder, including DICOM files without a suffix."""
    return [path for path in files_below(root) if _is_image(root, path)]


def _is_image(root: Path, path: Path) -> bool:
    name = path.name.lower()
    return name.endswith(_SUFFIXES) or (not name.endswith(_OTHERS) and is_dicom(root / path))


class ImageFiles(Dataset[tuple[Tensor, int, int]]):
    """Samples ``(image (3, H, W) in [0, 1], label, group)``, turned upright by the files' EXIF orientation.

    Args:
        root: The folder of the images.
        paths: The images' paths relative to it.
        labels: One label per image.
        groups: One group per image.
        classes: The names of the labels.
        resized: The size ``(H, W)`` that images are resized to (bilinear, antialiased); None keeps their size.

    Raises:
        ValueError: An image cannot be read when its sample is read; the message names it.
    """

    if_unreadable = ""  # advice added to the error

    def __init__(
        self,
        root: Path,
        paths: Sequence[Path],
        labels: Sequence[int],
        groups: Sequence[int],
        classes: Sequence[str],
        resized: tuple[int, ...] | None = None,
    ) -> None:
        self.root, self.paths = root, list(paths)
        self.labels, self.groups = list(labels), list(groups)
        self.classes = list(classes)
        self.resized = resized
        self._sizes: dict[int, tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        with self._named(index):
            pixels = self.read(self.root / self.paths[index])
        if self.resized is not None and pixels.shape[1:] != self.resized:
            smooth = {"mode": "bilinear", "antialias": True} if pixels.ndim == 3 else {"mode": "area"}
            pixels = interpolate(pixels.unsqueeze(0), self.resized, **smooth).squeeze(0)
        return pixels, self.labels[index], self.groups[index]

    def size(self, index: int) -> tuple[int, ...]:
        """The size ``(H, W)`` of an upright image, from the header of its file."""
        if index not in self._sizes:
            with self._named(index):
                self._sizes[index] = self.read_size(self.root / self.paths[index])
        return self._sizes[index]

    def read(self, path: Path) -> Tensor:
        """An image file's colours ``(3, H, W)``; an ``OSError`` if it cannot be read."""
        with opened(path) as image:
            return to_pixels(image)

    def read_size(self, path: Path) -> tuple[int, ...]:
        """The size ``(H, W)`` of an image file; an ``OSError`` if it cannot be read."""
        return size_of(path)

    @contextmanager
    def _named(self, index: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ValueError(f"{self.root / self.paths[index]} cannot be read: {error}.{self.if_unreadable}") from error


class ImageFolder(ImageFiles):
    """The images ``root/<class>/*.jpg``, all of group 0.

    Args:
        root: The folder that contains one folder per class.
        skip_unreadable: Whether to try every image now and leave out unreadable ones, instead of failing at the first.
        resized: See ``ImageFiles``.

    Attributes:
        skipped: The paths that were left out.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: There are fewer than two classes, or an image cannot be read when its sample is read.
    """

    kind = "images"
    if_unreadable = " data.unreadable=skip leaves it out."

    def __init__(self, root: Path, skip_unreadable: bool = False, resized: tuple[int, ...] | None = None) -> None:
        if not root.is_dir():
            raise FileNotFoundError(f"There is no folder {str(root)!r} of images{nearest_path(root)}.")
        self.root = root
        found = self.listed()
        self.skipped = [path for path in found if not self._is_readable(path)] if skip_unreadable else []
        paths = sorted(set(found) - set(self.skipped))
        classes = sorted({path.parts[0] for path in paths})
        if len(classes) < 2:
            raise ValueError(f"{root} holds images of {classes or 'no class'}; it needs at least two folders of images.")
        super().__init__(root, paths, [classes.index(path.parts[0]) for path in paths], [0] * len(paths), classes, resized)

    def listed(self) -> list[Path]:
        """The paths of all images, relative to the root."""
        return [path for path in image_paths(self.root) if len(path.parts) == 2]

    def _is_readable(self, path: Path) -> bool:
        try:
            self.read(self.root / path)
        except OSError:
            return False
        return True


def to_pixels(image: Image.Image) -> Tensor:
    """A picture's colours ``(3, H, W)`` in [0, 1]; 16-bit pictures keep their precision.

    Raises:
        OSError: The picture's values are fractions outside [0, 1].
    """
    if image.mode == "F" or image.mode.startswith("I"):
        grey = torch.from_numpy(np.array(image, dtype=np.float32))
        if image.mode != "F":
            grey /= 65535
        if not grey.isfinite().all() or grey.min() < 0 or grey.max() > 1:
            raise OSError(f"its values reach from {grey.min():g} to {grey.max():g} of white")
        return grey.expand(3, *grey.shape).clone()
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 255


def marked(images: ImageFiles, annotations: FileAnnotations) -> list[bool]:
    """Whether each image carries a mark; see ``surveyed``."""
    return [bool(has) for has in surveyed(images, annotations)]


def surveyed(images: ImageFiles, annotations: FileAnnotations, strict: bool = False) -> list[bool | None]:
    """Whether each image carries a mark; None where nobody looked.

    Each annotation is drawn once, so that annotations that do not fit are found before training: they are named, and their
    images count as not looked at.

    Raises:
        ValueError: An image cannot be read, or no annotation fits; with ``strict``, any annotation does not fit.
    """
    wrong: list[Problem] = []
    found: list[bool | None] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkippedAnnotations)
        for index in tqdm(range(len(images)), desc="Reading annotations", disable=None):
            size, annotation = images.resized or images.size(index), None
            try:
                annotation = annotations(index, torch.empty(1).expand(1, *size))
            except ValueError as error:
                annotations.skip(index)
                wrong.append(Problem("", images.paths[index].as_posix(), "", "does not fit", str(error)))
            found.append(None if annotation is None else bool(annotation.any()))
    problems = [*annotations.problems, *wrong]
    if problems and (strict or not any(has is not None for has in found)):
        raise ValueError(f"{'' if strict else 'No annotation fits its image: '}{problems[0]}")
    for line in annotations.said():
        rank_zero_info(f"salreg: {line}")
    for line in by_kind(problems):
        rank_zero_warn(f"salreg: {line}")
    return found


class _OfChosen:
    """The annotations of some of the images, renumbered from 0."""

    def __init__(self, annotations: Callable[[int, Any], Tensor | None], chosen: Sequence[int]) -> None:
        self.annotations, self.chosen = annotations, chosen

    def __call__(self, index: int, sample: Any) -> Tensor | None:
        return self.annotations(self.chosen[index], sample)


def divided(
    images: ImageFiles,
    annotations: Callable[[int, Any], Tensor | None],
    splits: Sequence[Sequence[int]],
    empty: Literal["looked at", "unknown"] = "looked at",
) -> list[AnnotatedDataset]:
    """Images and annotations of each split, given by the indices of its samples; ``empty`` as in ``AnnotatedDataset``."""
    return [AnnotatedDataset(Subset(images, chosen), _OfChosen(annotations, chosen), empty=empty) for chosen in splits]


def loaders(parts: Sequence[AnnotatedDataset], data: Any, volumes: bool = False) -> list[DataLoader[Any]]:
    """Batches of images or volumes, each of one size; those for training are shuffled, mirrored and shifted.

    Args:
        parts: Images and annotations for training, validation and testing.
        data: ``size``, ``flip``, ``crop``, ``batch_size`` and ``workers``.
        volumes: Whether the samples are volumes.
    """
    train, *others = parts
    size = None if volumes else (data.size, data.size)
    return [
        loader(Augmented(train, size, flip=data.flip, crop=data.crop), data, shuffle=True),
        *(loader(Augmented(one, size), data) for one in others),
    ]
