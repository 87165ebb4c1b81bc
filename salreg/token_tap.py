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
        ids: The integer tensors that the call received; one of them holds the token numbers ``(B, T)``, or ``(B, choices, T)``,
            which count as one long text.
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
        self._embedding: nn.Module | None = None
        self._choices = 1
        self._in_rows = True  # one text a row, whatever sample it is of
        self.length = 0
        self.ids: Tensor | None = None

    @property
    def has_choices(self) -> bool:
        """Whether a sample is several texts ``(choices, T)``."""
        return self._choices > 1

    def note_masks(self, kwargs: Mapping[str, Any]) -> None:
        """Take in masks of the padding that are called so."""
        self._masks |= {name: kwargs[name] for name in _MASKS if isinstance(kwargs.get(name), Tensor)}

    def found(self, embedding: nn.Module, given: Any, output: Any, named: bool) -> bool:
        """Whether this is the embedding of the tokens; ``named`` if the user says so."""
        if not isinstance(output, Tensor) or output.ndim != 3 or not output.is_floating_point() or self.order is not None:
            return False
        ids = next((ids for ids in self._candidates if _same(given, _rows(ids)) or _is_turned(given, ids)), None)
        if ids is None and not named:
            return False
        self._embedding = embedding
        self._choices = ids.shape[1] if ids is not None and ids.ndim == 3 else 1
        self.ids = ids if ids is not None or len(self._candidates) != 1 else self._candidates[0]
        self.order = (1, 2, 0) if ids is not None and not _same(given, _rows(ids)) else (0, 2, 1)
        padding_idx = getattr(embedding, "padding_idx", None)
        if ids is not None and isinstance(padding_idx, int):
            self._padding = ids.eq(padding_idx).flatten(1)
        return True

    def found_again(self, embedding: nn.Module, given: Any) -> bool:
        """Whether the tokens that were found are embedded once more, as by a network that is called twice."""
        return embedding is self._embedding and self.ids is not None and _same(given, _rows(self.ids))

    def concerns(self, given: Sequence[Tensor]) -> bool:
        """Whether a call that received these tensors is about the tokens."""
        return any(one is ids for one in given for ids in self._candidates)

    def taken_as_embedded(self, embedded: Tensor) -> None:
        """The call received embedded tokens ``(B, T, E)``, or ``(B, choices, T, E)``, rather than numbers."""
        self.order = (0, 2, 1)
        self._in_rows = embedded.ndim == 3
        self._choices = 1 if self._in_rows else embedded.shape[1]

    def channels_first(self, embedded: Tensor) -> Tensor:
        """From the model's layout to ``(B, E, T)``."""
        assert self.order is not None
        if self._choices > 1:
            embedded = (embedded.unflatten(0, (-1, self._choices)) if self._in_rows else embedded).flatten(1, 2)
        self.length = embedded.shape[self.order[2]]
        return embedded.permute(self.order)

    def as_the_model_has_it(self, tokens: Tensor) -> Tensor:
        """From ``(B, E, T)`` to the model's layout."""
        assert self.order is not None
        embedded = tokens.permute(*(self.order.index(axis) for axis in range(3)))
        if self._choices > 1:
            embedded = embedded.unflatten(1, (self._choices, -1))
            return embedded.flatten(0, 1) if self._in_rows else embedded
        return embedded

    def without_padding(self, annotation: Tensor) -> Tensor:
        """Annotations ``(B, T)``, or ``(B, choices, T)``, which become ``(B, choices * T)``, with ``NO_PLACE`` at the padding.

        Padding is known by the call's mask or the embedding's ``padding_idx``. Shorter annotations are continued: some collate
        functions pad a batch beyond its longest text.

        Raises:
            ValueError: A mark on padding.
        """
        annotation = annotation.flatten(1)
        if annotation.shape[1] < self.length:
            missing = self.length - annotation.shape[1]
            annotation = pad(annotation, (missing, 0) if self._is_padded_in_front() else (0, missing), value=NO_PLACE)
        padding = self._padding_like(annotation)
        if padding is None or padding.shape != annotation.shape:
            return annotation
        padding = padding.to(annotation.device)
        lost = is_annotated(annotation * padding * (annotation != NO_PLACE))
        if lost.any():
            sample = int(lost.nonzero()[0])
            raise ValueError(f"Sample {sample} of the batch carries a mark on padding, after the {_length(padding[sample])}.")
        return torch.where(padding, torch.full_like(annotation, NO_PLACE), annotation)

    def _padding_like(self, annotation: Tensor) -> Tensor | None:
        """Where the call's text is padded, laid out like an annotation if that is possible."""
        padding = self._padding
        for name, mask in self._masks.items():
            mask = mask.flatten(1) if mask.ndim == 3 else mask
            if mask.shape == annotation.shape:
                padding = mask.bool() if _MASKS[name] else mask == 0
        return padding

    def _is_padded_in_front(self) -> bool:
        padding = self._padding_like(torch.empty(len(next(iter(self._masks.values()), ())), self.length))
        if padding is None or padding.ndim != 2:
            return False
        return bool(padding[:, 0].any()) and not bool(padding[:, -1].any())


def token_numbers(given: Sequence[Tensor], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The tensors among a call's arguments that may be token numbers: Hugging Face's ``input_ids``, or else all integers."""
    named = kwargs.get("input_ids")
    return [named] if isinstance(named, Tensor) else [one for one in given if one.ndim in (2, 3) and _is_integer(one)]


def _is_integer(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() and tensor.dtype != torch.bool


def _rows(ids: Tensor) -> Tensor:
    """One text a row, as models take several choices."""
    return ids.flatten(0, 1) if ids.ndim == 3 else ids


def _is_turned(given: Any, ids: Tensor) -> bool:
    return ids.ndim == 2 and _same(given, ids.t())


def _same(given: Any, ids: Tensor) -> bool:
    return given is ids or (isinstance(given, Tensor) and given.shape == ids.shape and torch.equal(given, ids.to(given.dtype)))


def _length(padding: Tensor) -> str:
    return f"{int((~padding).sum())} tokens of its text"
