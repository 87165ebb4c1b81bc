"""NIfTI images and volumes, in one orientation."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from salreg.readers.damage import as_os_error
from salreg.readers.optional import optional
from salreg.readers.shapes import MOST_PIXELS, Size


def reads(path: str | Path) -> bool:
    """Whether this is a picture of this kind."""
    return str(path).lower().endswith((".nii", ".nii.gz"))


def size(path: str | Path) -> Size:
    """``(H, W)`` of a slice, from the head of its file.

    Raises:
        OSError: It is no NIfTI of one slice, or nibabel is not installed.
    """
    width, height = _slice_shape(_loaded(path).shape)
    return height, width


def picture(path: str | Path) -> Image.Image:
    """A slice with front or head at the top and the body's left on the left: integers from 0 to 255 unchanged, as in masks;
    other values as floats, from 0 (the lowest, black) to 1 (the highest, white).

    Raises:
        OSError: It is no NIfTI of one slice, is cut off, or nibabel is not installed.
    """
    loaded = _loaded(path)
    shape = _slice_shape(loaded.shape)
    if shape[0] * shape[1] > MOST_PIXELS:
        raise OSError(f"its {shape[1]} x {shape[0]} pixels are too many")
    values = _values(loaded).reshape(shape).T[::-1].astype(np.float32)
    if _are_bytes(values):
        return Image.fromarray(np.ascontiguousarray(values.astype(np.uint8)))
    return Image.fromarray(np.ascontiguousarray(_greys(values)))


def volume_size(path: str | Path) -> tuple[int, int, int] | None:
    """``(D, H, W)`` of a volume, from the head of its file; None if it is a slice.

    Raises:
        OSError: It is no NIfTI, or nibabel is not installed.
    """
    shape = _loaded(path).shape
    if sum(edge != 1 for edge in shape) < 3:
        return None
    width, height, depth = _volume_shape(path, shape)
    return depth, height, width


def upright_volume(path: str | Path) -> Any:
    """A volume's values ``(D, H, W)``, float32, of which each slice ``(H, W)`` lies as ``picture`` shows it.

    D goes from the feet up, H from front to back, W from left to right.

    Raises:
        OSError: As ``read_volume``.
    """
    return np.ascontiguousarray(read_volume(path)[0].numpy()[:, ::-1])


def picture_volume(path: str | Path) -> Tensor:
    """A volume's greys ``(1, D, H, W)`` from black 0 to white 1, as ``picture`` has those of a slice; see ``upright_volume``.

    Raises:
        OSError: As ``read_volume``.
    """
    values = upright_volume(path)
    return torch.from_numpy(values / np.float32(255) if _are_bytes(values) else _greys(values)).unsqueeze(0)


def read_volume(path: str | Path) -> Tensor:
    """Read a volume's values ``(1, D, H, W)``, float32: D from the feet up, H from back to front, W from left to right.

    Masks are read in the same way: ``from_mask(spurious=read_volume("mask.nii.gz") > 0)`` is the volume's annotation ``(1, D,
    H, W)``.

    Raises:
        OSError: It is not a NIfTI with three axes, is truncated, or nibabel is not installed.
    """
    loaded = _loaded(path)
    shape = _volume_shape(path, loaded.shape)
    if math.prod(shape) > MOST_PIXELS:
        raise OSError(f"its {shape[2]} x {shape[1]} x {shape[0]} places are too many")
    values = np.ascontiguousarray(_values(loaded).reshape(shape).transpose(2, 1, 0).astype(np.float32))
    return torch.from_numpy(values).unsqueeze(0)


def _volume_shape(path: str | Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    found = tuple(edge for edge in shape if edge != 1 or len(shape) == 3)
    if len(found) != 3:
        raise OSError(f"{path}: it has the shape {shape}; a volume has three axes")
    return found


def _are_bytes(values: Any) -> bool:
    return bool((values >= 0).all() and (values <= 255).all() and (values == np.floor(values)).all())


def _greys(values: Any) -> Any:
    """From 0, the lowest value, to 1, the highest; what is no number, as around a brain, is as the lowest."""
    finite = np.isfinite(values)
    if not finite.any():
        raise OSError("none of its values is a number")
    low, high = (float(end) for end in (values.min(where=finite, initial=np.inf), values.max(where=finite, initial=-np.inf)))
    return np.where(finite, (values - low) / max(high - low, 1e-9), 0).astype(np.float32)


@as_os_error("it is not a NIfTI")
def _loaded(path: str | Path) -> Any:
    """The file, its axes from left to right, back to front and foot to head; nothing is decoded yet."""
    try:
        nibabel = optional("nibabel", "nifti")
    except ModuleNotFoundError as error:
        raise OSError(str(error)) from error
    loaded = nibabel.as_closest_canonical(nibabel.load(path))
    if 0 in loaded.shape or np.dtype(loaded.get_data_dtype()).kind not in "iuf":
        raise OSError(
            f"it has the shape {loaded.shape} and values of the kind {loaded.get_data_dtype()}; only grey values are supported"
        )
    return loaded


@as_os_error("its values cannot be read")
def _values(loaded: Any) -> Any:
    if math.prod(loaded.shape) > MOST_PIXELS:
        raise OSError(f"its {' x '.join(map(str, loaded.shape))} places are too many")
    return np.asanyarray(loaded.dataobj)


def _slice_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    edges = [edge for edge in shape if edge != 1]
    if len(edges) != 2:
        raise OSError(f"it has the shape {shape}; a picture is one slice, use salreg.readers.nifti.read_volume for volumes")
    return edges[0], edges[1]
