"""How annotations are laid out: those of samples that have none, and those of the steps of a series."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from salreg.data.graphs import refuse_graph
from salreg.data.several_inputs import input_named
from salreg.taps import is_mask, tensors_in

_EMBEDDED = "inputs_embeds"
_TARGETS = ("label", "labels", "label_ids", "target", "targets", "y")


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


def laid_out_alike(annotations: Sequence[Tensor], looked_at: Sequence[bool]) -> list[Tensor]:
    """Annotations of a batch's samples, of which those that nobody looked at are laid out like the others: a series may be
    annotated step by step or element by element, an image with one channel or with all.

    Example:
        >>> [tuple(one.shape) for one in laid_out_alike([torch.zeros(7), torch.zeros(7, 3)], [True, False])]
        [(7,), (7,)]
    """
    given = [one for one, known in zip(annotations, looked_at, strict=True) if known]
    if not given or len({one.ndim for one in given}) > 1:
        return list(annotations)
    shapes = {tuple(one.shape) for one in given}

    def alike(one: Tensor) -> Tensor:
        if tuple(one.shape) in shapes or (one.ndim == given[0].ndim and len(shapes) > 1):
            return one
        if len(shapes) > 1:  # of series that differ in length
            return one.new_zeros(one.shape[: given[0].ndim])
        shape = next(iter(shapes))
        return one.new_zeros(shape) if _agree(shape, tuple(one.shape)) else one

    return [one if known else alike(one) for one, known in zip(annotations, looked_at, strict=True)]


def _agree(shape: tuple[int, ...], of_sample: tuple[int, ...]) -> bool:
    """Whether annotations of both shapes may be of samples of one shape."""
    if len(shape) == len(of_sample):
        return shape[1:] == of_sample[1:] and len(shape) > 1
    return len(shape) == 1 and len(of_sample) == 2 and shape[0] in of_sample


def of_series(annotation: Tensor, sample: Any, name: str | None) -> Tensor:
    """Annotations of the steps ``(B, T)`` of a series, laid out like it: a marked step is marked in all features of a series
    ``(B, T, F)``, and in all channels of a signal ``(B, C, T)``, for which ``(B, 1, T)`` is enough.

    Annotations of anything else, embedded tokens among them, remain as they are.

    Args:
        annotation: Of a batch.
        sample: The batch.
        name: The annotated input, if there are several.
    """
    if annotation.ndim != 2 or name == _EMBEDDED:
        return annotation
    given = tensors_in(_inputs(sample) if name is None else [input_named(sample, name)])
    series = next((place for place, one in enumerate(given) if _is_series(one, annotation)), None)
    # Values are looked at in batches with a series only, since a GPU has to be waited for.
    if series is None or any(_has_numbers(one, annotation) for one in given[:series]):
        return annotation
    if given[series].shape[:2] == annotation.shape:
        return annotation.unsqueeze(-1).expand(given[series].shape).contiguous()
    return annotation.unsqueeze(1)


def _is_series(tensor: Tensor, annotation: Tensor) -> bool:
    """Whether the annotations may be those of the steps of a series or a signal."""
    return tensor.ndim == 3 and tensor.is_floating_point() and annotation.shape in (tensor.shape[:2], tensor.shape[::2])


def _has_numbers(tensor: Tensor, annotation: Tensor) -> bool:
    """Whether this is a text or a table laid out like the annotations; behind a series, it holds labels of the steps."""
    return tensor.shape == annotation.shape and tensor.dtype != torch.bool and not is_mask(tensor)


def _inputs(sample: Any) -> Any:
    """A batch without what its keys say is embedded or a target."""
    if isinstance(sample, Mapping):
        return {key: value for key, value in sample.items() if key not in (_EMBEDDED, *_TARGETS)}
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
