"""Annotations that a network made, drawn when they are asked for."""

from collections.abc import Mapping, Sequence
from typing import overload

import torch
from torch import Tensor
from torch.nn.functional import interpolate


class CarriedOver(Sequence[Tensor]):
    """One annotation ``(1, H, W)`` per sample, for ``AnnotatedDataset``.

    Where somebody looked it is that person's own; elsewhere ``int8``, -1 where the network finds something spurious and zeros
    where it finds nothing. In memory are the network's probabilities on the reduced grid, a byte each.

    Args:
        probabilities: ``(N, h, w)``, uint8, 255 for 1.
        sizes: ``(H, W)`` of each image.
        own: The annotations of the samples that somebody looked at, by index.
        threshold: The probability from which on a pixel is spurious.
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
    """A grid ``(h, w)`` brought to an image's size: ``(1, H, W)``."""
    grid = probability[None, None]
    return (grid if grid.shape[-2:] == size else interpolate(grid, size, mode="bilinear"))[0]
