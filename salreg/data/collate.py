"""Collates annotated samples to an annotated batch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import default_collate
from torch.utils.data._utils.collate import default_collate_fn_map

from salreg.annotations import NO_PLACE
from salreg.data.annotated import MIXED, AnnotatedBatch, AnnotatedSample
from salreg.data.graphs import GRAPH, has_edges
from salreg.data.layout import as_tensors, laid_out_alike, unknown
from salreg.data.padded import padded_like_texts
from salreg.data.several_inputs import annotations_by_input, by_name, input_named


class Collate:
    """Applies a collate function to the plain samples, and stacks their annotations.

    Annotations of texts ``(T,)`` of different lengths are padded with ``NO_PLACE`` on the side where the collate function pads
    the texts (``salreg.data.padded``).

    Args:
        collate_fn: The function that turns a list of the base dataset's samples into a batch.
    """

    def __init__(self, collate_fn: Callable[[list[Any]], Any] = default_collate) -> None:
        self.collate_fn = collate_fn

    def __call__(self, samples: list[Any]) -> AnnotatedBatch:
        samples = [one if isinstance(one, AnnotatedSample) else AnnotatedSample(one, unknown(one), False) for one in samples]
        try:
            return self._batch(samples)
        except (RuntimeError, TypeError, ValueError) as error:
            if has_edges(one.sample for one in samples):
                raise TypeError(f"{error}\n{GRAPH}") from error
            raise

    def _batch(self, samples: list[AnnotatedSample]) -> AnnotatedBatch:
        by_input = [annotations_by_input(one.annotation) for one in samples]
        batch = self.collate_fn([one.sample for one in samples])
        looked: list[Any] = [one.looked_at for one in samples]
        looked_at = {name: [bool(one[name] if isinstance(one, dict) else one) for one in looked] for name in by_input[0]}
        alike = {name: laid_out_alike([one[name] for one in by_input], looked_at[name]) for name in by_input[0]}
        stacked = {name: self._stacked(annotations, samples, batch, name) for name, annotations in alike.items()}
        return AnnotatedBatch(batch, by_name(stacked), by_name({name: torch.tensor(one) for name, one in looked_at.items()}))

    def _stacked(self, annotations: list[Tensor], samples: list[AnnotatedSample], batch: Any, name: str | None) -> Tensor:
        of_texts = self.collate_fn is not default_collate and all(one.ndim == 1 for one in annotations)
        if not of_texts:
            return _stacked(annotations)
        given = [one.sample if name is None else input_named(one.sample, name) for one in samples]
        part = batch if name is None else input_named(batch, name)
        return padded_like_texts(_of_one_type(annotations), [as_tensors(one) for one in given], part)


def _collate_annotated(batch: list[Any], *, collate_fn_map: object = None) -> AnnotatedBatch:
    if not all(isinstance(one, AnnotatedSample) for one in batch):
        raise TypeError(MIXED)
    return Collate()(batch)


default_collate_fn_map[AnnotatedSample] = _collate_annotated


def _stacked(annotations: list[Tensor]) -> Tensor:
    shapes = {tuple(one.shape) for one in annotations}
    of_texts = all(len(shape) == 1 for shape in shapes)
    if len(shapes) > 1 and not of_texts:
        raise ValueError(
            f"The annotations of one batch differ in shape: {sorted(shapes)}. Each is laid out like its sample's "
            "map: (1, H, W) for an image of H x W pixels, (F,) for a table's row."
        )
    alike = _of_one_type(annotations)
    return pad_sequence(alike, batch_first=True, padding_value=NO_PLACE) if of_texts else torch.stack(alike)


def _of_one_type(annotations: list[Tensor]) -> list[Tensor]:
    return annotations if len({one.dtype for one in annotations}) == 1 else [one.float() for one in annotations]
