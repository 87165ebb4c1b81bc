"""Donors, whose content replaces that of a marked region: other marked samples, from the batch or seen recently."""

import math
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from salreg.host import sent
from salreg.rng import Rng

#: So many donors of a batch are enough to draw from them alone.
ENOUGH = 16
_AT_ONCE = 8  # that one batch adds to the bank, at most

Donor = tuple[Tensor, ...]


class DonorBank:
    """A bounded store of donors of distinct samples; a new one replaces the oldest.

    A donor is whatever tensors describe it: an image and its region, or a span of token numbers. Two are of the same sample if
    the sums of all that it holds and of its squares are. What the region alone holds does not tell: if donors with the content
    of a sample's own region were left out, each sample would get another content than its own, which tells as much.

    Args:
        size: The number of donors it can hold.
    """

    def __init__(self, size: int) -> None:
        self._donors: deque[Donor] = deque(maxlen=size)
        self._sums: deque[list[float]] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._donors)

    @property
    def samples(self) -> int:
        """The number of samples that its donors come from."""
        return len({tuple(one) for one in self._sums})

    def beside(self, donors: Sequence[Donor], samples: Sequence[Tensor]) -> list[Donor]:
        """The kept donors of other samples than these, which are then kept, too: the first few of them.

        Args:
            donors: Of a batch.
            samples: The sample that each of them comes from.
        """
        new = torch.stack([_sums(one) for one in samples]).tolist() if donors else []
        kept = list(zip(self._donors, self._sums, strict=True))
        for donor, one in list(zip(donors, new, strict=True))[:_AT_ONCE]:
            if not any(_same(one, other) for _, other in kept):
                self._donors.append(tuple(part.detach().clone() for part in donor))
                self._sums.append(one)
        return [donor for donor, one in kept if not any(_same(one, other) for other in new)]

    def state_dict(self) -> dict[str, Any]:
        return {"donors": list(self._donors), "sums": list(self._sums)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._donors = deque(state["donors"], self._donors.maxlen)
        self._sums = deque(state["sums"], self._sums.maxlen)


class Picked(NamedTuple):
    """Some donors: samples and their regions, and which of these each one is, known to the host."""

    inputs: Tensor
    regions: Tensor
    number: Tensor


class Pool(NamedTuple):
    """The donors of a batch, and behind them others.

    Attributes:
        inputs: The batch ``(B, ...)``.
        regions: Its marks in [0, 1], ``(B, ...)``.
        owners: Which of its samples are donors, known to the host.
        others: Samples and regions of the same shape.
    """

    inputs: Tensor
    regions: Tensor
    owners: Tensor
    others: list[Donor]

    @property
    def size(self) -> int:
        """The number of donors."""
        return len(self.owners) + len(self.others)

    def pick(self, numbers: Tensor) -> Picked:
        """The donors of these numbers, and no others, of which a bank holds far more than a small batch needs."""
        if not self.others:
            return Picked(self.inputs, self.regions, self.owners[numbers])
        used, number = numbers.unique(return_inverse=True)
        donors = [self._donor(one) for one in used.tolist()]
        inputs, regions = (torch.stack(one) for one in zip(*donors, strict=True))
        return Picked(inputs, regions, number)

    def _donor(self, number: int) -> Donor:
        if number < len(self.owners):
            return self.inputs[int(self.owners[number])], self.regions[int(self.owners[number])]
        one, region = self.others[number - len(self.owners)]
        return one.to(self.inputs), region.to(self.regions)


def pool_of(inputs: Tensor, regions: Tensor, marked: Tensor, bank: DonorBank) -> Pool:
    """The donors of a batch, and those of a bank behind them if they are few.

    Args:
        inputs: ``(B, ...)``.
        regions: Their marks in [0, 1], ``(B, ...)``.
        marked: Which of them are donors, ``(B,)``, known to the host.
        bank: It stores some of them.
    """
    owners = marked.nonzero().flatten()
    enough = len(owners) >= ENOUGH
    if enough and len(bank):
        return Pool(inputs, regions, owners, [])
    there = sent(owners[:_AT_ONCE] if enough else owners, inputs.device)
    own = list(zip(inputs[there], regions[there], strict=True))
    others = bank.beside(own, [one for one, _ in own])
    shapes = inputs.shape[1:], regions.shape[1:]
    fitting = [donor for donor in others if tuple(one.shape for one in donor) == shapes]
    return Pool(inputs, regions, owners, [] if enough else fitting)  # a batch without any may follow


def numbered(marked: Tensor) -> Tensor:
    """The number of each sample as a donor; -1 if it is not one."""
    return (marked.cumsum(0) - 1).where(marked, -1)


def other_donors(own: Tensor, count: int, rng: Rng, owned: Tensor | int = 1) -> Tensor:
    """The number of a donor for each receiver, never one of the receiver's own if there is another.

    Args:
        own: The number of the receiver's own donor, or of its first one; -1 if it has none.
        count: The number of donors.
        rng: The random number generator.
        owned: How many donors in a row are the receiver's own, broadcasting to ``own``.
    """
    owned = torch.where(own >= 0, owned, 0)
    drawn = (rng.uniform(tuple(own.shape), like=own.float()) * (count - owned)).long()
    return (own.clamp(min=0) + owned + drawn) % count


def _sums(content: Tensor) -> Tensor:
    content = content.float()
    return torch.stack([content.sum(), content.square().sum()])


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12) for a, b in zip(one, other, strict=True))
