"""Pads or truncates the annotations of texts as a collate function did the texts."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from salreg.annotations import NO_PLACE
from salreg.taps import tensors_in

_IDS, _MASK = "input_ids", "attention_mask"


def padded_like_texts(annotations: Sequence[Tensor], samples: Sequence[Any], batch: Any) -> Tensor:
    """Annotations ``(T_i,)`` as one tensor ``(B, T)``, with ``NO_PLACE`` where a text is padded.

    A text's annotation goes where the text's tokens are found in the batch, be they at the start, at the end or truncated. If
    the samples hold no tokens, it goes where the batch's attention mask is 1; if there is no mask either, to the start.

    Args:
        annotations: The annotation of each sample, all of one dtype.
        samples: The samples from the dataset, with arrays as tensors.
        batch: The result of the collate function.

    Raises:
        ValueError: The mask of a text shows a different number of tokens than are annotated.

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
    """The length of the batch's texts, and where each sample's own tokens begin in them: negative if the first tokens are cut
    off, None if they are not found."""
    named = batch.get(_IDS) if isinstance(batch, Mapping) else None
    integers = [one for one in tensors_in(batch) if one.ndim == 2 and len(one) == len(annotations) and _is_integer(one)]
    for texts in integers if named is None else [named]:
        starts = [_start(row, annotation, sample) for row, annotation, sample in zip(texts, annotations, samples, strict=False)]
        if len(starts) == len(annotations) and all(start is not None for start in starts):
            return texts.shape[1], [start for start in starts if start is not None]
    return None


def _start(row: Tensor, annotation: Tensor, sample: Any) -> int | None:
    """The place in a row of the batch where a sample's annotated tokens begin."""
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
                f"{len(annotation)} places of sample {number} of the batch are annotated, but the collate function turned it "
                f"into {int(shown.sum())} tokens, so some tokens or marks would have no counterpart. Annotate the tokens that "
                "it produces, including special ones, or tokenise in the dataset."
            )
    return padded


def _is_integer(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() and tensor.dtype != torch.bool
