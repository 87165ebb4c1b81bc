"""Regions from a file, brought to the samples of a dataset."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor

from salreg.annotations import resized
from salreg.readers.regions import Regions, image_name
from salreg.taps import tensors_in


class FileAnnotations:
    """Annotations for ``AnnotatedDataset``, drawn when their sample is read.

    In memory is what the file says of each image, not the drawn maps. An image that the file has without marks was looked at:
    its annotation is all zeros, unless ``AnnotatedDataset(..., empty="unknown")`` says otherwise.

    Args:
        images: The path below the images' folder of each sample, in the dataset's order.
        regions: From a reader. They are matched with the images by path without suffix, or where one path is the other's
            end (``moles/003`` and ``photos/moles/003``, or ``003``) and that is unique on both sides.
        resize: Bring annotations of another size than the image to it, by the nearest neighbour.

    Attributes:
        without: The images that are not in the file; nobody looked at them.
        unused: The names of regions without an image.
        resized: How many annotations were resized so far, in this process.

    Raises:
        ValueError: Nothing matches, or two images have the same name but for the suffix; when a sample is read, an annotation
            of another size.

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

    def __init__(self, images: Sequence[str | PurePath], regions: Mapping[str, Regions], *, resize: bool = False) -> None:
        paths = [str(image).replace("\\", "/") for image in images]
        names = [image_name(path, "The list of images") for path in paths]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(f"Two images are called {twice[0]!r} but for the suffix: their annotations cannot be told apart.")
        matched = _matches(names, regions)
        self._regions = [None if key is None else regions[key] for key in matched]
        self._paths = paths
        self.without = [path for path, key in zip(paths, matched, strict=True) if key is None]
        self.unused = sorted(set(regions) - set(matched))
        if len(self.without) == len(paths):
            raise ValueError(
                f"None of the {len(regions)} annotated names belongs to one of the {len(paths)} images: there is "
                f"{_first(regions)!r}, and the images are called like {_first(names)!r}."
            )
        self.resize = resize
        self.resized = 0

    def __len__(self) -> int:
        return len(self._paths)

    def __call__(self, index: int, sample: Any) -> Tensor | None:
        """The annotation ``(1, H, W)`` of a sample whose first tensor is the image ``(C, H, W)``; None where nobody looked."""
        regions = self._regions[index]
        if regions is None:
            return None
        height, width = _image(sample, self._paths[index]).shape[-2:]
        annotation = regions.draw((height, width))
        drawn = tuple(annotation.shape[-2:])
        if drawn == (height, width):
            return annotation
        if not self.resize:
            raise ValueError(
                f"The annotation of {self._paths[index]!r} is of size (H, W) = {drawn}, its image of {(height, width)}. Resize "
                "both in the same way, or say resize=True."
            )
        self.resized += 1
        return resized(annotation, (height, width))


def _matches(names: Sequence[str], regions: Mapping[str, Regions]) -> list[str | None]:
    """The key of each image's regions: its path, or the only one that is the path's end or ends with it."""
    longer: dict[str, list[str]] = {}
    for key in regions:
        for end in _ends(key):
            longer.setdefault(end, []).append(key)
    images = Counter(end for name in names for end in {name, *_ends(name)})
    known = set(names)

    def match(name: str) -> str | None:
        if name in regions:
            return name
        keys = [*longer.get(name, ()), *(end for end in _ends(name) if end in regions)]
        if len(keys) != 1:
            return None
        others = images[keys[0]] + sum(end in known for end in _ends(keys[0]))
        return keys[0] if others == 1 else None

    return [match(name) for name in names]


def _ends(path: str) -> list[str]:
    """A path without its first folder, its first two, ..., down to the bare name."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(1, len(parts))]


def _first(names: Any) -> str:
    return next(iter(names), "")


def _image(sample: Any, path: str) -> Tensor:
    image = next((tensor for tensor in tensors_in(sample) if tensor.ndim >= 2), None)
    if image is None:
        raise ValueError(f"The sample of {path!r} holds no image tensor (C, H, W), whose size its annotation could take.")
    return torch.as_tensor(image)
