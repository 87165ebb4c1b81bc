"""The layout of the annotation of a sample that has none."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from salreg.data.graphs import refuse_graph
from salreg.taps import tensors_in


def unknown(sample: Any) -> Tensor:
    """Zeros laid out like the sample's first array: ``(1, H, W)`` for an image ``(C, H, W)``."""
    refuse_graph(sample)
    arrays = [t for t in tensors_in(as_tensors(sample)) if t.ndim]
    if not arrays:
        raise ValueError("An unannotated sample holds no tensor that gives its annotation's shape.")
    return torch.zeros(layout(arrays[0].shape), dtype=torch.int8)


def layout(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of an annotation, from the shape of its sample."""
    return (1, *shape[1:]) if len(shape) == 3 else tuple(shape)


def as_tensors(sample: Any) -> Any:
    """The sample with its arrays and lists of numbers turned into tensors."""
    if isinstance(sample, Mapping):
        return [as_tensors(value) for value in sample.values()]
    if isinstance(sample, list) and sample and all(isinstance(one, int) for one in sample):
        return torch.tensor(sample)
    if isinstance(sample, tuple | list):
        return [as_tensors(value) for value in sample]
    return torch.from_numpy(sample) if type(sample).__name__ == "ndarray" else sample
