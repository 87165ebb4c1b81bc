"""Images in files, read when they are needed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from salreg.data import AnnotatedDataset, Augmented
from salreg.readers import FileAnnotations, files_below

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def image_paths(root: Path) -> list[Path]:
    """The paths of all images below a folder."""
    return [path for path in files_below(root) if path.suffix.lower() in _SUFFIXES]


class ImageFiles(Dataset[tuple[Tensor, int, int]]):
    """Samples ``(image (3, H, W) in [0, 1], label, group)``.

    Args:
        root: The folder of the images.
        paths: Below it, one each.
        labels: One each.
        groups: One each.
        classes: What the labels are called.

    Raises:
        ValueError: When a sample is read, an image that cannot be; names it.
    """

    if_unreadable = ""  # advice that follows the error

    def __init__(
        self, root: Path, paths: Sequence[Path], labels: Sequence[int], groups: Sequence[int], classes: Sequence[str]
    ) -> None:
        self.root, self.paths = root, list(paths)
        self.labels, self.groups = list(labels), list(groups)
        self.classes = list(classes)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        with self._opened(index) as image:
            pixels = torch.from_numpy(np.array(image.convert("RGB")))
        return pixels.permute(2, 0, 1).float() / 255, self.labels[index], self.groups[index]

    def size(self, index: int) -> tuple[int, int]:
        """``(H, W)`` of an image, from the head of its file."""
        with self._opened(index) as image:
            return image.height, image.width

    @contextmanager
    def _opened(self, index: int) -> Iterator[Image.Image]:
        path = self.root / self.paths[index]
        try:
            with Image.open(path) as image:
                yield image
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error}.{self.if_unreadable}") from error


def is_readable(path: Path) -> bool:
    """Whether a file is a whole image."""
    try:
        with Image.open(path) as image:
            image.load()
    except OSError:
        return False
    return True


def marked(images: ImageFiles, annotations: FileAnnotations) -> list[bool]:
    """Which images carry a mark. Each annotation is drawn once, which also finds what does not fit before the training."""
    drawn = (
        annotations(index, torch.empty(1, *images.size(index)))
        for index in tqdm(range(len(images)), desc="Reading annotations", disable=None)
    )
    return [annotation is not None and bool(annotation.any()) for annotation in drawn]


class _OfChosen:
    """The annotations of some of the images, numbered anew."""

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
    """Images and annotations of each split, given by the numbers of its samples; ``empty`` as in ``AnnotatedDataset``."""
    return [AnnotatedDataset(Subset(images, chosen), _OfChosen(annotations, chosen), empty=empty) for chosen in splits]


def loaders(parts: Sequence[AnnotatedDataset], data: Any) -> list[DataLoader[Any]]:
    """Batches of images, all of one size; those for training are shuffled, mirrored and shifted.

    Args:
        parts: Images and annotations for training, validation and testing.
        data: ``size``, ``flip``, ``crop``, ``batch_size`` and ``workers``.
    """
    size = (data.size, data.size)
    train, *others = parts
    return [
        DataLoader(
            Augmented(train, size, flip=data.flip, crop=data.crop), data.batch_size, shuffle=True, num_workers=data.workers
        ),
        *(DataLoader(Augmented(one, size), data.batch_size, num_workers=data.workers) for one in others),
    ]
