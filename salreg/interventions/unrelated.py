"""The tensors of a batch that do not belong to its tokens, whatever their shape happens to be in a batch."""

from typing import Any

from torch import Tensor

from salreg.taps import place_of, tensors_in


class Unrelated:
    """Remembers what was laid out otherwise than the tokens once.

    What belongs to the tokens always is laid out like them. Labels of as many classes as a batch's texts have tokens, or a
    target text that is as long as the source, are so by chance, and must not move with the tokens in such a batch.
    """

    def __init__(self) -> None:
        self._places: set[str] = set()

    def among(self, sample: Any, tokens: Tensor) -> list[Tensor]:
        """The tensors of a batch that do not belong to its tokens ``(B, T)`` or ``(B, choices, T)``."""
        found = []
        for one in tensors_in(sample):
            if one.ndim < 2 or one is tokens:
                continue
            place = place_of(sample, one) or ""
            if one.ndim == tokens.ndim and one.shape != tokens.shape:
                self._places.add(place)
            if place in self._places:
                found.append(one)
        return found

    def state_dict(self) -> dict[str, Any]:
        return {"places": sorted(self._places)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._places = set(state["places"])
