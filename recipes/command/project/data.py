"""Reads images from one folder per class, and the marks beside them."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from salreg import AnnotatedDataset
from salreg.readers import FileAnnotations, read_annotations

HERE = Path(__file__).parent


class Photos(Dataset[tuple[Tensor, int]]):
    """Samples ``(image (3, H, W) in [0, 1], label)`` of ``root/<class>/<name>.png``, all images of one size."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = sorted(root.glob("*/*.png"))
        self.classes = sorted({path.parent.name for path in self.paths})

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path = self.paths[index]
        pixels = torch.from_numpy(np.array(Image.open(path).convert("RGB")))
        return pixels.permute(2, 0, 1).float() / 255, self.classes.index(path.parent.name)


def annotated(split: str) -> AnnotatedDataset:
    """The images of a split with their marks; nobody looked at an image without a mask.

    ``read_annotations`` reads the files of COCO, CVAT, Label Studio and others, too:
    ``read_annotations("marks.json", {"tag": "spurious"})``.
    """
    photos = Photos(HERE / "images" / split)
    names = [path.relative_to(photos.root).as_posix() for path in photos.paths]
    return AnnotatedDataset(photos, FileAnnotations(names, read_annotations(HERE / "marks" / split)))
