"""Matches the regions of a file with the samples of a dataset."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor

from salreg.annotations import resized
from salreg.readers.matching import match
from salreg.readers.problems import Problem, SkippedAnnotations, by_kind
from salreg.readers.reading import Readings
from salreg.readers.regions import ImageMarks, Regions, written
from salreg.readers.shapes import AnySize
from salreg.taps import tensors_in

_KEPT_BYTES = 256 << 20


class FileAnnotations:
    """Annotations for ``AnnotatedDataset``, drawn when a sample is read, at the sample's size.

    The regions of each image stay in memory, as do up to 256 MiB of drawn maps, which later epochs reuse. An image in the file
    without marks was looked at: its annotation is all zeros, unless ``AnnotatedDataset(..., empty="unknown")`` says otherwise.
    If a mark had to be left out and the image has no other, its content is unknown, so the image counts as not looked at.

    Args:
        images: The path of each sample relative to the images' folder, in the dataset's order.
        regions: The result of a reader. Each is matched with the image of the same path, or else of the path with the smallest
            difference that is unique: the suffix; leading folders, or all folders of a path from another root; percent encoding
            and the encoding of accents; upper and lower case; additions by tools, such as ``_mask`` or the eight characters of
            an upload.
        resize: Whether to resize annotations to the image's size if they differ, by nearest neighbour.
        size_of: ``(H, W)`` of an image, ``(D, H, W)`` of a volume, by its index, if samples differ in size from the images that
            were annotated.
        ambiguous: What to do with names that match several others: ``fatal`` raises an error, ``unmatched`` leaves them without
            a match.

    Attributes:
        without: The images that are not in the file, which nobody looked at.
        unused: The names of regions without an image.
        differences: The number of names that differ from their image's, by kind of difference; ``said()`` puts it in words.
        ambiguous: The names that match several others, in words.
        problems: The marks that could not be drawn so far, in this process.
        resized: The number of annotations resized so far, in this process.

    Raises:
        ValueError: Nothing matches, or a name matches several others. When a sample is read: its annotation differs in size or,
            even with ``resize``, belongs to the image rotated by a quarter turn.

    Example:
        >>> import os, tempfile
        >>> from torch.utils.data import TensorDataset
        >>> from salreg import AnnotatedDataset
        >>> from salreg.readers import read_boxes
        >>> path = os.path.join(tempfile.mkdtemp(), "boxes.csv")
        >>> _ = open(path, "w").write("image,x1,y1,x2,y2\\n003.jpg,0,0,2,1\\n004.jpg,,,,\\n")
        >>> marks = FileAnnotations(["moles/003.jpg", "moles/004.jpg", "moles/005.jpg"], read_boxes(path))
        >>> data = AnnotatedDataset(TensorDataset(torch.rand(3, 3, 8, 8)), marks)
        >>> [(sample.annotation.sum().item(), sample.looked_at) for sample in data]
        [(-2, True), (0, True), (0, False)]
        >>> marks.without
        ['moles/005.jpg']
    """

    def __init__(
        self,
        images: Sequence[str | PurePath],
        regions: Mapping[str, Regions],
        *,
        resize: bool = False,
        size_of: Callable[[int], AnySize] | None = None,
        ambiguous: str = "fatal",
    ) -> None:
        self._paths = [str(image).replace("\\", "/") for image in images]
        keys = list(regions)
        found = match(self._paths, [_written(key, regions[key]) for key in keys])
        self._regions: list[Regions | None] = [None if one is None else regions[keys[one]] for one in found.regions]
        self.without = [path for path, one in zip(self._paths, found.regions, strict=True) if one is None]
        self.unused = sorted({*keys} - {keys[one] for one in found.regions if one is not None})
        self.differences, self.ambiguous, self._examples = found.differences, found.ambiguous, found.examples
        if self.ambiguous and ambiguous == "fatal":
            raise ValueError(
                f"{len(self.ambiguous)} names match several others: {'; '.join(self.ambiguous[:3])}. Name images by their path."
            )
        if not regions:
            problems = by_kind(regions.problems) if isinstance(regions, Readings) else []
            raise ValueError(f"The annotations list no image. {' '.join(problems)}".strip())
        if len(self.without) == len(self._paths):
            fitting = f" {len(self.ambiguous)} fit several others: {'; '.join(self.ambiguous[:3])}." if self.ambiguous else ""
            raise ValueError(
                f"None of the {len(regions)} annotated names belongs to one of the {len(self._paths)} images: there is "
                f"{_first(regions)!r}, and the images are called like {_first(self._paths)!r}.{fitting}"
            )
        self.resize, self._size_of = resize, size_of
        self.resized = 0
        self.problems: list[Problem] = []
        self._drawn: dict[tuple[int, AnySize], Tensor | None] = {}
        self._skipped: set[int] = set()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._paths)

    def __call__(self, index: int, sample: Any) -> Tensor | None:
        """The annotation ``(1, H, W)`` of a sample whose first tensor is the image ``(C, H, W)``; None if nobody looked. For a
        volume ``(C, D, H, W)`` it is ``(1, D, H, W)``.
        """
        regions = self._regions[index]
        if regions is None or index in self._skipped:
            return None
        shape = _image(sample, self._paths[index]).shape
        size = tuple(shape[-3 if len(shape) == 4 else -2 :])
        if (index, size) not in self._drawn:
            drawn = self._marks(index, regions, size) if isinstance(regions, ImageMarks) else self._other(index, regions, size)
            if self._bytes + math.prod(size) > _KEPT_BYTES:
                return drawn
            self._bytes += 0 if drawn is None else math.prod(size)
            self._drawn[index, size] = drawn
        kept = self._drawn[index, size]
        return None if kept is None else kept.clone()

    def skip(self, index: int) -> None:
        """Treat an image as one that nobody looked at."""
        self._skipped.add(index)

    def said(self) -> list[str]:
        """How differing names were matched, with one sentence per kind of difference."""
        return [
            f"{count} names were matched although they differ in {what}: {self._examples[what][1]!r} is for "
            f"{self._examples[what][0]!r}."
            for what, count in self.differences.most_common()
        ]

    def marks(self, index: int) -> Regions | None:
        """The marks of an image in the file; None if the file does not have it."""
        return self._regions[index]

    def _marks(self, index: int, regions: ImageMarks, size: AnySize) -> Tensor | None:
        original = size if self._size_of is None else self._size_of(index)
        stated = regions.stated_size() or original
        if stated != original:
            self._count_resized(index, stated, original)
        drawn = regions.drawn(size, stated)
        if drawn.problems:
            self.problems += drawn.problems
            warnings.warn("\n".join(by_kind(drawn.problems)), SkippedAnnotations, stacklevel=3)
        if (regions.skipped or drawn.problems) and not drawn.annotation.any():
            return None
        return drawn.annotation

    def _other(self, index: int, regions: Regions, size: AnySize) -> Tensor:
        annotation = regions.draw(size)
        drawn = tuple(annotation.shape[1:])
        if drawn == size:
            return annotation
        self._count_resized(index, drawn, size)
        return resized(annotation, size)

    def _count_resized(self, index: int, drawn: AnySize, size: AnySize) -> None:
        if _is_turned(drawn, size):
            raise ValueError(
                f"The annotation of {self._paths[index]!r} is of size (H, W) = {drawn}, its upright image of {size}: it was "
                "made on the image as stored, rotated by a quarter turn. Rotate the file and annotate it upright."
            )
        if not self.resize:
            raise ValueError(
                f"The annotation of {self._paths[index]!r} is of size {written(drawn)}, its image of {size}. Resize both in "
                "the same way, or use resize=True."
            )
        self.resized += 1


def _is_turned(drawn: AnySize, size: AnySize) -> bool:
    """Whether one is upright and the other lies on its side, of the same proportions."""
    if len(drawn) != 2 or len(size) != 2:
        return False
    sides = drawn[0] * size[0], drawn[1] * size[1]
    return (drawn[0] < drawn[1]) != (size[0] < size[1]) and abs(sides[0] - sides[1]) <= 0.02 * max(sides) and drawn != size


def _written(key: str, regions: Regions) -> str:
    """The name of regions as their file has it."""
    return regions.name if isinstance(regions, ImageMarks) else key


def _first(names: Any) -> str:
    return next(iter(names), "")


def _image(sample: Any, path: str) -> Tensor:
    image = next((tensor for tensor in tensors_in(sample) if tensor.ndim >= 2), None)
    if image is None:
        raise ValueError(f"The sample of {path!r} holds no image tensor (C, H, W) to give its annotation a size.")
    return torch.as_tensor(image)
