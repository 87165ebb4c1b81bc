"""How annotations are laid out: those of samples that have none, and those of the steps of a series."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from salreg.data.graphs import refuse_graph
from salreg.data.several_inputs import input_named
from salreg.taps import is_mask, tensors_in

_EMBEDDED = "inputs_embeds"


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


def of_series(annotation: Tensor, sample: Any, name: str | None) -> Tensor:
    """Annotations of the steps ``(B, T)`` of a series, laid out like it: a marked step is marked in all features of a series
    ``(B, T, F)``, and in all channels of a signal ``(B, C, T)``, for which ``(B, 1, T)`` is enough.

    Annotations of anything else, embedded tokens among them, remain as they are.

    Args:
        annotation: Of a batch.
        sample: The batch.
        name: The annotated input, if there are several.
    """
    if annotation.ndim != 2:
        return annotation
    given = tensors_in(_without_embedded(sample) if name is None else [input_named(sample, name)])
    if name == _EMBEDDED or any(
        one.shape == annotation.shape and one.dtype != torch.bool and not is_mask(one) for one in given
    ):
        return annotation
    for series in (one for one in given if one.ndim == 3 and one.is_floating_point()):
        if series.shape[:2] == annotation.shape:
            return annotation.unsqueeze(-1).expand(series.shape).contiguous()
        if series.shape[::2] == annotation.shape:
            return annotation.unsqueeze(1)
    return annotation


def _without_embedded(sample: Any) -> Any:
    if isinstance(sample, Mapping) and _EMBEDDED in sample:
        return {key: value for key, value in sample.items() if key != _EMBEDDED}
    return sample


def as_tensors(sample: Any) -> Any:
    """The sample with its arrays and lists of numbers turned into tensors."""
    if isinstance(sample, Mapping):
        return [as_tensors(value) for value in sample.values()]
    if isinstance(sample, list) and sample and all(isinstance(one, int) for one in sample):
        return torch.tensor(sample)
    if isinstance(sample, tuple | list):
        return [as_tensors(value) for value in sample]
    return torch.from_numpy(sample) if type(sample).__name__ == "ndarray" else sample
