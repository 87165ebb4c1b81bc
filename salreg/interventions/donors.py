"""Donors, whose content replaces that of a marked region: other marked samples, from the batch or seen recently."""

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from salreg.rng import Rng

#: So many donors of a batch are enough to draw from them alone.
ENOUGH = 16
_AT_ONCE = 8  # that one batch adds to the bank, at most

Donor = tuple[Tensor, ...]


class DonorBank:
    """A bounded store of distinct donors; a new one replaces the oldest.

    A donor is whatever tensors describe it: an image and its region, or a span of token numbers. Two are the same if the sums
    of their content and of its squares are.

    Args:
        size: The number of donors it can hold.
    """

    def __init__(self, size: int) -> None:
        self._donors: deque[Donor] = deque(maxlen=size)
        self._sums: deque[list[float]] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._donors)

    def beside(self, donors: Sequence[Donor], content: Sequence[Tensor]) -> list[Donor]:
        """The kept donors that are none of these, which are then kept, too: the first few of them.

        Args:
            donors: Of a batch.
            content: What tells each one from others.
        """
        new = torch.stack([_sums(one) for one in content]).tolist() if donors else []
        kept = list(zip(self._donors, self._sums, strict=True))
        for donor, one in list(zip(donors, new, strict=True))[:_AT_ONCE]:
            if not any(_same(one, other) for other in self._sums):
                self._donors.append(tuple(part.detach().clone() for part in donor))
                self._sums.append(one)
        return [donor for donor, one in kept if not any(_same(one, other) for other in new)]

    def state_dict(self) -> dict[str, Any]:
        return {"donors": list(self._donors), "sums": list(self._sums)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._donors = deque(state["donors"], self._donors.maxlen)
        self._sums = deque(state["sums"], self._sums.maxlen)


def other_donors(own: Tensor, count: int, rng: Rng) -> Tensor:
    """The number of a donor for each receiver, never the receiver itself if there is another.

    Args:
        own: The receiver's own number as a donor; -1 if it is not one.
        count: The number of donors.
        rng: The random number generator.
    """
    is_donor = own >= 0
    drawn = (rng.uniform(tuple(own.shape), like=own.float()) * (count - is_donor.long())).long()
    return torch.where(is_donor, own + 1 + drawn, drawn) % count


def _sums(content: Tensor) -> Tensor:
    content = content.float()
    return torch.stack([content.sum(), content.square().sum()])


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12) for a, b in zip(one, other, strict=True))
