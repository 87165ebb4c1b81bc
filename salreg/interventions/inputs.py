"""Finds the annotated tensor of a batch, and its kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from salreg.annotations import fits
from salreg.complex_inputs import refuse_complex
from salreg.taps import is_mask, replace_tensor, tensors_in

Kind = Literal["grid", "row", "tokens", "embedded"]

_TOKEN_KEYS = ("input_ids", "tokens", "token_ids")
REMEDY = "Otherwise say intervene=False."


@dataclass(frozen=True)
class AnnotatedInput:
    """The annotated tensor of a batch.

    Attributes:
        tensor: The tensor in the batch.
        kind: ``grid``: images, series and volumes ``(B, C, ...)``; ``row``: of a table ``(B, F)``; ``tokens``: numbers ``(B,
            T)``, or ``(B, choices, T)``; ``embedded``: tokens ``(B, T, E)``.
        others: The number of other tensors in the batch that the annotation would also fit.
    """

    tensor: Tensor
    kind: Kind
    others: int = 0

    def __str__(self) -> str:
        return f"{'texts' if self.kind == 'tokens' else 'input'} of shape {tuple(self.tensor.shape[1:])}"


def annotated_input(sample: Any, annotation: Tensor, named: Tensor | None = None) -> AnnotatedInput:
    """The annotated tensor of a batch: the one named, or the first that the annotation fits.

    Raises:
        ValueError: There is none, or it holds integers that are not token numbers; the message says what the batch holds.
    """
    given = tensors_in(sample) if named is None else [named]
    found = [AnnotatedInput(tensor, kind) for tensor in given if (kind := _kind(tensor, annotation, sample)) is not None]
    texts = [one for one in found if one.kind == "tokens"]
    if texts:  # what else is (B, T) is a mask; a series beside them may be the input, unless a key says that they are
        by_key = isinstance(sample, Mapping) and any(texts[0].tensor is sample.get(key) for key in _TOKEN_KEYS)
        series = [] if by_key else [one for one in found if one.kind == "embedded"]
        return AnnotatedInput(texts[0].tensor, "tokens", len(texts) + len(series) - 1)
    if found:
        return AnnotatedInput(found[0].tensor, found[0].kind, len(found) - 1)
    refuse_complex(one for one in given if len(one.shape) and len(one) == len(annotation))
    choices = embedded_choices(sample, annotation)
    if choices is not None and named is None:
        raise ValueError(
            "The annotations lie on embedded tokens of several texts a sample, inputs_embeds of shape "
            f"{tuple(choices.shape)}, in which words cannot be exchanged. Give the model token numbers (input_ids of shape "
            "(B, choices, T)) instead of embedded tokens, or use a penalty alone: intervene=False, weight=1.0."
        )
    integers = [one for one in given if not one.is_floating_point() and one.ndim > 2 and fits(annotation, one)]
    if integers:
        raise ValueError(
            f"The annotated input holds integers ({integers[0].dtype}, shape {tuple(integers[0].shape)}), in which content "
            f"cannot be mixed. Convert it to float in the dataset (image / 255) or in on_before_batch_transfer. {REMEDY}"
        )
    there = ", ".join(f"{tuple(one.shape)} {str(one.dtype).removeprefix('torch.')}" for one in given) or "no tensor"
    raise ValueError(
        f"The annotations of shape {tuple(annotation.shape)} fit no input of the batch, which has {there}. An annotation is "
        "laid out like its input: (1, H, W) for an image (C, H, W), (T,) for a text, (F,) for a table's row; where several "
        f'inputs are annotated, each by its name: AnnotatedDataset(base, {{"image": ...}}); a list of images is collated to '
        f"one tensor, padded to one size. {REMEDY}"
    )


def embedded_choices(sample: Any, annotation: Tensor) -> Tensor | None:
    """The embedded tokens ``(B, choices, T, E)`` on which annotations ``(B, choices, T)`` lie; None where there are none."""
    given = sample.get("inputs_embeds") if isinstance(sample, Mapping) else None
    fits_it = isinstance(given, Tensor) and given.ndim == 4 and given.shape[:3] == annotation.shape
    return given if fits_it else None


def replaced(sample: Any, pairs: list[tuple[Tensor, Tensor]]) -> Any:
    """A copy of a batch with tensors exchanged.

    Raises:
        ValueError: The batch is of a kind that cannot be copied with another tensor in it.
    """
    for old, new in pairs:
        error = None
        try:
            sample = replace_tensor(sample, old, new)
        except TypeError as raised:  # its class is made of other arguments
            error = raised
        if error or not any(new is one for one in tensors_in(sample)):
            raise ValueError(
                f"The batch holds its input in a {type(sample).__name__}, which cannot be copied with another tensor in it. "
                "Return tuples, lists, dicts or dataclasses from the dataset, or use intervene=False."
            ) from error
    return sample


def _kind(tensor: Tensor, annotation: Tensor, sample: Any) -> Kind | None:
    if not tensor.ndim or len(tensor) != len(annotation):
        return None
    if tensor.is_floating_point():
        if annotation.ndim == 2 and tensor.ndim == 3:
            return "embedded" if tensor.shape[1] == annotation.shape[1] else None
        if fits(annotation, tensor):
            return "row" if tensor.ndim == 2 else "grid"
        return None
    keys = [sample[key] for key in _TOKEN_KEYS if isinstance(sample, Mapping) and key in sample]
    if tensor.ndim not in (2, 3) or tensor.shape != annotation.shape or tensor.dtype == torch.bool:
        return None
    if tensor.ndim == 3 and not keys:
        return None
    if keys:
        return "tokens" if any(tensor is one for one in keys) else None
    return None if is_mask(tensor) else "tokens"


def names_tokens(place: str) -> bool:
    """Whether a tensor that lies there in a batch holds token numbers by its name."""
    return any(place.endswith(f"[{key!r}]") for key in _TOKEN_KEYS)
