"""CIFAR-10: small colour photos of ten classes."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from salreg.recipes.data.paths import nearest_path

#: In the order of their labels.
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
_TRAIN, _TEST = tuple(f"data_batch_{number}.bin" for number in range(1, 6)), ("test_batch.bin",)


class ColorImages(NamedTuple):
    """Images ``(N, 3, 32, 32)`` uint8 and labels ``(N,)`` int64, for training and for testing."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def load(root: Path) -> ColorImages:
    """CIFAR-10 from a folder with the "binary version" (``data_batch_1.bin`` ... ``test_batch.bin``, whole or unpacked in
    ``cifar-10-batches-bin``), or with ``train.npz`` and ``test.npz`` of ``images (N, 32, 32, 3)`` and ``labels``.

    The "python version" is pickled and therefore not read.

    Raises:
        FileNotFoundError: The folder has neither.
        ValueError: A file does not have the format that its name implies.
    """
    if (root / "train.npz").is_file():
        return ColorImages(*_archive(root / "train.npz"), *_archive(root / "test.npz"))
    for folder in (root, root / "cifar-10-batches-bin"):
        if (folder / _TEST[0]).is_file():
            return ColorImages(*_batches(folder, _TRAIN), *_batches(folder, _TEST))
    raise FileNotFoundError(
        f"{root} holds no CIFAR-10{nearest_path(root)}. Point data.root at the unpacked cifar-10-binary.tar.gz "
        "(data_batch_1.bin ... test_batch.bin), or leave data.root empty for a small generated sample."
    )


def made_images(train: int = 1000, test: int = 300) -> ColorImages:
    """Stripes in noise: the class is their direction (five) and width (two)."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(train + test) % len(CLASSES)
    angle, wavelength = labels % 5 * (torch.pi / 5), torch.where(labels < 5, 5.0, 10.0)
    across = torch.arange(SIDE).view(-1, 1) * angle.sin().view(-1, 1, 1) + torch.arange(SIDE) * angle.cos().view(-1, 1, 1)
    phase = torch.rand(len(labels), 1, 1, generator=generator)
    stripes = (2 * torch.pi * (across / wavelength.view(-1, 1, 1) + phase)).sin()
    tint = torch.rand(len(labels), 3, 1, 1, generator=generator)
    noise = torch.randn(len(labels), 3, SIDE, SIDE, generator=generator)
    images = (110 + 35 * tint * (1 + stripes.unsqueeze(1)) + 30 * noise).clamp(0, 255).to(torch.uint8)
    return ColorImages(images[:train], labels[:train], images[train:], labels[train:])


def _archive(path: Path) -> tuple[Tensor, Tensor]:
    with np.load(path, allow_pickle=False) as file:
        images, labels = file["images"], file["labels"]
    if images.shape != (len(labels), SIDE, SIDE, 3):
        raise ValueError(f"{path} holds images {images.shape} and {len(labels)} labels, not ({len(labels)}, 32, 32, 3).")
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels).long()


def _batches(folder: Path, names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """Read records of one label byte and 3 x 32 x 32 pixel bytes."""
    size = 1 + 3 * SIDE * SIDE
    records = []
    for name in names:
        values = np.fromfile(folder / name, np.uint8)
        if not len(values) or len(values) % size or values[::size].max() >= len(CLASSES):
            raise ValueError(f"{folder / name} does not hold records of CIFAR-10's binary version ({size} bytes each).")
        records.append(torch.from_numpy(values).view(-1, size))
    table = torch.cat(records)
    return table[:, 1:].reshape(-1, 3, SIDE, SIDE), table[:, 0].long()
