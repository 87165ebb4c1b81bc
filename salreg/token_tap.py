"""The tap of a text: its tokens as the embedding gives them, ``(B, E, T)``, channels first like images."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from salreg.annotations import NO_PLACE, is_annotated

#: Masks of Hugging Face (1 at tokens) and of PyTorch (True at padding).
_MASKS = {"attention_mask": False, "src_key_padding_mask": True, "key_padding_mask": True, "padding_mask": True}


class TokenTap:
    """Finds where a call's token numbers are embedded.

    Args:
        ids: The integer tensors that the call received; one of them holds the token numbers ``(B, T)``.
        kwargs: The call's keyword arguments, among which a mask of the padding may be.

    Attributes:
        order: The permutation that brings the embedding's output to ``(B, E, T)``; None until it was seen.
        length: T, once it was seen.
        ids: The token numbers themselves, likewise.
    """

    def __init__(self, ids: Sequence[Tensor], kwargs: Mapping[str, Any]) -> None:
        self.order: tuple[int, int, int] | None = None
        self._candidates = list(ids)
        self._masks: dict[str, Tensor] = {}
        self.note_masks(kwargs)
        self._padding: Tensor | None = None
        self.length = 0
        self.ids: Tensor | None = None

    def note_masks(self, kwargs: Mapping[str, Any]) -> None:
        """Take in masks of the padding that are called so."""
        self._masks |= {name: kwargs[name] for name in _MASKS if isinstance(kwargs.get(name), Tensor)}

    def found(self, embedding: nn.Module, given: Any, output: Any, named: bool) -> bool:
        """Whether this is the embedding of the tokens; ``named`` if the user says so."""
        if not isinstance(output, Tensor) or output.ndim != 3 or not output.is_floating_point() or self.order is not None:
            return False
        ids = next((ids for ids in self._candidates if _same(given, ids) or _same(given, ids.t())), None)
        if ids is None and not named:
            return False
        self.ids = ids if ids is not None or len(self._candidates) != 1 else self._candidates[0]
        self.order = (1, 2, 0) if ids is not None and not _same(given, ids) else (0, 2, 1)
        padding_idx = getattr(embedding, "padding_idx", None)
        if ids is not None and isinstance(padding_idx, int):
            self._padding = ids.eq(padding_idx)
        return True

    def taken_as_embedded(self) -> None:
        """The call received embedded tokens ``(B, T, E)`` rather than numbers."""
        self.order = (0, 2, 1)

    def channels_first(self, embedded: Tensor) -> Tensor:
        """From the model's layout to ``(B, E, T)``."""
        assert self.order is not None
        self.length = embedded.shape[self.order[2]]
        return embedded.permute(self.order)

    def as_the_model_has_it(self, tokens: Tensor) -> Tensor:
        """From ``(B, E, T)`` to the model's layout."""
        assert self.order is not None
        return tokens.permute(*(self.order.index(axis) for axis in range(3)))

    def without_padding(self, annotation: Tensor) -> Tensor:
        """Annotations ``(B, T)`` with ``NO_PLACE`` at the padding, by the call's mask or the embedding's ``padding_idx``.
        Shorter ones are continued: some collate functions pad a batch beyond its longest text.

        Raises:
            ValueError: A mark on padding.
        """
        if annotation.shape[1] < self.length:
            annotation = pad(annotation, (0, self.length - annotation.shape[1]), value=NO_PLACE)
        padding = self._padding
        for name, mask in self._masks.items():
            if mask.shape == annotation.shape:
                padding = mask.bool() if _MASKS[name] else mask == 0
        if padding is None or padding.shape != annotation.shape:
            return annotation
        padding = padding.to(annotation.device)
        lost = is_annotated(annotation * padding * (annotation != NO_PLACE))
        if lost.any():
            sample = int(lost.nonzero()[0])
            raise ValueError(f"Sample {sample} of the batch carries a mark on padding, behind the {_length(padding[sample])}.")
        return torch.where(padding, torch.full_like(annotation, NO_PLACE), annotation)


def token_numbers(given: Sequence[Tensor], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The tensors among a call's arguments that may be token numbers: Hugging Face's ``input_ids``, or else all integers."""
    named = kwargs.get("input_ids")
    return [named] if isinstance(named, Tensor) else [one for one in given if one.ndim == 2 and _is_integer(one)]


def _is_integer(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() and tensor.dtype != torch.bool


def _same(given: Any, ids: Tensor) -> bool:
    return given is ids or (isinstance(given, Tensor) and given.shape == ids.shape and torch.equal(given, ids.to(given.dtype)))


def _length(padding: Tensor) -> str:
    return f"{int((~padding).sum())} tokens of its text"
