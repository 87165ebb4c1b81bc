"""The lengths of a batch's texts, where it holds them beside the token numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from salreg.interventions.inputs import REMEDY
from salreg.taps import place_of, tensors_in


class Lengths:
    """Finds the tensors of a batch that hold the length of each text, which change with it.

    No name says what they are: they are whole numbers, one a text, that were its number of tokens in every batch so far. What
    was something else once, such as a class that happens to be as large, is none.
    """

    def __init__(self) -> None:
        self._others: set[str] = set()

    def among(self, sample: Any, tokens: Tensor, padding: Tensor, fixed: Sequence[Any] = ()) -> list[Tensor]:
        """The lengths in a batch.

        Args:
            sample: The batch.
            tokens: The token numbers in it, ``(B, T)`` or ``(B, choices, T)``.
            padding: Where they are padded, of the same shape.
            fixed: Tensors that are something else.

        Raises:
            ValueError: They are in a list of numbers.
        """
        counts, lists, found = (~padding).sum(-1), _lists(sample), []
        if lists and len(counts) > 1 and counts.tolist() in lists:
            raise ValueError(
                "The batch holds the lengths of its texts as a list of numbers, which cannot change with the texts. Return "
                f"them as a tensor from the collate function. {REMEDY}"
            )
        for one in tensors_in(sample):
            whole = not one.is_floating_point() and one.dtype != torch.bool
            if not whole or one.shape != counts.shape or any(one is other for other in fixed):
                continue
            place = place_of(sample, one) or ""
            if not torch.equal(one.to(counts), counts) and not _ends(tokens, one, padding):
                self._others.add(place)
            elif place not in self._others:
                found.append(one)
        return found

    def state_dict(self) -> dict[str, Any]:
        return {"others": sorted(self._others)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._others = set(state["others"])


def padding_behind(lengths: Tensor, padding: Tensor) -> Tensor:
    """Where texts are padded ``(..., T)`` by their lengths, where nothing else says it; as it was where something does."""
    if bool(padding.any()):
        return padding
    return torch.arange(padding.shape[-1], device=padding.device) >= lengths.to(padding.device).unsqueeze(-1)


def _lists(sample: Any) -> list[list[Any]]:
    parts = sample.values() if isinstance(sample, Mapping) else sample if isinstance(sample, list | tuple) else ()
    return [list(one) for one in parts if isinstance(one, list | tuple) and all(type(number) is int for number in one)]


def _ends(tokens: Tensor, lengths: Tensor, padding: Tensor) -> bool:
    """Whether texts whose padding is not known end there: behind it, all hold one token, which none has in front of it."""
    size = tokens.shape[-1]
    if bool(padding.any()) or bool(((lengths < 1) | (lengths > size)).any()) or bool((lengths == size).all()):
        return False
    behind = padding_behind(lengths, padding)
    last = tokens.gather(-1, lengths.to(tokens).unsqueeze(-1) - 1)
    fillers = tokens[behind]
    return bool((fillers == fillers[0]).all() & (last != fillers[0]).all())
