"""Grey-scale digit and clothing images, from scikit-learn's bundled digits or from IDX files."""

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from salreg.recipes.data.paths import nearest_path

_IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
# Where the original gzip files are, and their MD5 sums.
_SOURCES = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    "fashion_mnist": (
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
}


class GreyImages(NamedTuple):
    """Images ``(N, 28, 28)`` uint8 and labels ``(N,)`` int64, for training and for testing."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def load(name: str, root: str | Path, download: bool) -> GreyImages:
    """The data set of that name: ``digits`` (bundled with scikit-learn), ``mnist`` or ``fashion_mnist``.

    Raises:
        FileNotFoundError: IDX files are missing and could not be downloaded; the message names them.
        ValueError: The name is unknown, or a file does not have the format that its name implies.
    """
    if name == "digits":
        return _digits()
    if name not in _SOURCES:
        raise ValueError(f"data.name must be digits, mnist or fashion_mnist, not {name!r}.")
    paths = [_located(name, Path(root), index, download) for index in range(len(_IDX_FILES))]
    images = GreyImages(*(torch.from_numpy(read_idx(path)) for path in paths))
    labels = {"train_labels": images.train_labels.long(), "test_labels": images.test_labels.long()}
    return images._replace(**labels)


def read_idx(path: Path) -> np.ndarray:
    """Read an IDX file of unsigned bytes, gzipped or plain.

    Raises:
        ValueError: The file is not an IDX file, or is cut off.
    """
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if raw[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path} is not an IDX file of unsigned bytes.")
    axes = raw[3]
    shape = tuple(int.from_bytes(raw[4 * (axis + 1) : 4 * (axis + 2)], "big") for axis in range(axes))
    values = np.frombuffer(raw, np.uint8, offset=4 * (axes + 1))
    if values.size != int(np.prod(shape)):
        raise ValueError(f"{path} holds {values.size} values, but its header says {shape}: the file is cut off.")
    return values.reshape(shape).copy()


def _located(name: str, root: Path, index: int, download: bool) -> Path:
    file = _IDX_FILES[index]
    for path in (root / f"{file}.gz", root / file):
        if path.is_file():
            return path
    url, sums = _SOURCES[name]
    reason = "and data.download is false"
    if download:
        try:
            import pooch

            fetched = pooch.retrieve(f"{url}{file}.gz", f"md5:{sums[index]}", f"{file}.gz", root, progressbar=False)
            return Path(fetched)
        except ImportError:
            reason = "and pooch, which downloads them, is not installed (pip install 'salreg[recipes]')"
        except Exception as error:
            reason = f"and could not be downloaded ({type(error).__name__}: {error})"
    raise FileNotFoundError(
        f"{name}: {file}.gz is not in {root}{nearest_path(root)}, {reason}. Point data.root at a folder that holds "
        f"{', '.join(f'{one}.gz' for one in _IDX_FILES)}."
    )


def _digits() -> GreyImages:
    """1,797 digits of 8 x 8 pixels, enlarged to 28 x 28 by nearest neighbour; every fifth digit is for testing."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    nearest = np.arange(28) * 8 // 28
    images = torch.from_numpy((bunch.images * (255 / 16)).round().astype(np.uint8)[:, nearest][:, :, nearest])
    labels = torch.from_numpy(bunch.target).long()
    test = torch.arange(len(labels)) % 5 == 4
    return GreyImages(images[~test], labels[~test], images[test], labels[test])
