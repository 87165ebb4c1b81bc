"""Annotations of texts, laid out as a collate function has padded or cut the texts themselves."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from salreg.annotations import NO_PLACE
from salreg.taps import tensors_in

_IDS, _MASK = "input_ids", "attention_mask"


def padded_like_texts(annotations: Sequence[Tensor], samples: Sequence[Any], batch: Any) -> Tensor:
    """Annotations ``(T_i,)`` as one tensor ``(B, T)``, ``NO_PLACE`` where a text is padded.

    A text's annotation goes where its own tokens are found again in the batch, in front, behind or cut; where the samples hold
    no tokens, to where the batch's attention mask is 1; where there is no mask either, to the front.

    Args:
        annotations: Of each sample, of one dtype.
        samples: As the dataset gave them, arrays as tensors.
        batch: What the collate function made of them.

    Raises:
        ValueError: A text of which the mask shows another number of tokens than are annotated.

    Example:
        >>> marks = [torch.tensor([-1, 0]), torch.tensor([0, 0, 1])]
        >>> mask = torch.tensor([[0, 1, 1], [1, 1, 1]])
        >>> padded_like_texts(marks, ["two words", "three words here"], {"attention_mask": mask}).tolist()
        [[127, -1, 0], [0, 0, 1]]
    """
    found = _starts(annotations, samples, batch)
    mask = batch.get(_MASK) if isinstance(batch, Mapping) else None
    if found is None and isinstance(mask, Tensor) and mask.ndim == 2 and len(mask) == len(annotations):
        return _where_shown(annotations, mask)
    length, starts = (max(len(one) for one in annotations), [0] * len(annotations)) if found is None else found
    padded = annotations[0].new_full((len(annotations), length), NO_PLACE)
    for row, annotation, start in zip(padded, annotations, starts, strict=True):
        kept = annotation[-start:] if start < 0 else annotation
        row[max(start, 0) : max(start, 0) + len(kept)] = kept[: length - max(start, 0)]
    return padded


def _starts(annotations: Sequence[Tensor], samples: Sequence[Any], batch: Any) -> tuple[int, list[int]] | None:
    """How long the batch's texts are, and where each sample's own tokens begin there, less than 0 where their first ones are
    cut; None where they are not found."""
    named = batch.get(_IDS) if isinstance(batch, Mapping) else None
    integers = [one for one in tensors_in(batch) if one.ndim == 2 and len(one) == len(annotations) and _is_integer(one)]
    for texts in integers if named is None else [named]:
        starts = [_start(row, annotation, sample) for row, annotation, sample in zip(texts, annotations, samples, strict=False)]
        if len(starts) == len(annotations) and all(start is not None for start in starts):
            return texts.shape[1], [start for start in starts if start is not None]
    return None


def _start(row: Tensor, annotation: Tensor, sample: Any) -> int | None:
    """Where in a row of the batch a sample's annotated tokens begin."""
    length, room = len(annotation), row.shape[0] if row.ndim == 1 else 0
    own = [one for one in tensors_in(sample) if one.ndim == 1 and len(one) == length and _is_integer(one)]
    common = min(length, room)
    for tokens in own:
        if torch.equal(row[:common], tokens[:common].to(row)):
            return 0
        if torch.equal(row[room - common :], tokens[length - common :].to(row)):
            return room - length
    return None


def _where_shown(annotations: Sequence[Tensor], mask: Tensor) -> Tensor:
    padded = annotations[0].new_full(tuple(mask.shape), NO_PLACE)
    for number, (row, annotation, shown) in enumerate(zip(padded, annotations, mask != 0, strict=True)):
        if len(annotation) == len(row):  # laid out like the batch already
            row.copy_(annotation)
        elif len(annotation) == int(shown.sum()):
            row[shown] = annotation
        else:
            raise ValueError(
                f"{len(annotation)} places of sample {number} of the batch are annotated, but the collate function made "
                f"{int(shown.sum())} tokens of it, so that a token would have no place. Annotate the tokens that it makes, "
                "special ones included, or tokenise in the dataset."
            )
    return padded


def _is_integer(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() and tensor.dtype != torch.bool
