"""Annotations that a network predicted, drawn on demand."""

from collections.abc import Mapping, Sequence
from typing import overload

import torch
from torch import Tensor
from torch.nn.functional import interpolate


class CarriedOver(Sequence[Tensor]):
    """One annotation ``(1, H, W)`` per sample, for ``AnnotatedDataset``.

    If somebody looked at a sample, it is that person's annotation. Otherwise it is ``int8``: -1 where the network finds
    something spurious, 0 elsewhere. Only the network's probabilities on the reduced grid are kept in memory, one byte each.

    Args:
        probabilities: ``(N, h, w)``, uint8, 255 for 1.
        sizes: ``(H, W)`` of each image.
        own: The annotations of the samples that somebody looked at, by index.
        threshold: The probability from which a pixel counts as spurious.
    """

    def __init__(
        self, probabilities: Tensor, sizes: Sequence[tuple[int, int]], own: Mapping[int, Tensor], threshold: float
    ) -> None:
        self.probabilities, self.sizes, self.own, self.threshold = probabilities, sizes, own, threshold

    def __len__(self) -> int:
        return len(self.sizes)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...

    @overload
    def __getitem__(self, index: slice) -> list[Tensor]: ...

    def __getitem__(self, index: int | slice) -> Tensor | list[Tensor]:
        if isinstance(index, slice):
            return [self[one] for one in range(len(self))[index]]
        index = range(len(self))[index]
        if index in self.own:
            return self.own[index]
        probability = enlarged(self.probabilities[index].float() / 255, self.sizes[index])
        return -(probability >= self.threshold).to(torch.int8)


def enlarged(probability: Tensor, size: tuple[int, int]) -> Tensor:
    """A grid ``(h, w)`` enlarged to an image's size: ``(1, H, W)``."""
    grid = probability[None, None]
    return (grid if grid.shape[-2:] == size else interpolate(grid, size, mode="bilinear"))[0]
