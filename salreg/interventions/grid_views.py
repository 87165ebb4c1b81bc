"""An annotated input as a grid of places, whichever of its axes are the channels."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from salreg.annotations import align, as_places, marks, places

View = Literal["places", "steps", "elements"]


@dataclass(frozen=True)
class Grid:
    """An input and its marks as a grid.

    Attributes:
        inputs: ``(B, C, ...)``.
        spurious: Marks in [0, 1], ``(B, 1, ...)``.
        relevant: Likewise.
        protected: Likewise, where nothing may be put: over relevant marks, padding and special tokens.
        view: ``places`` if the input is a grid as it is, ``steps`` if its last axis holds the channels, ``elements`` if each
            element is a place of its own.
        shape: The input's own shape.
        channels: How many channels an annotation has; 0 if it has no axis for them.
    """

    inputs: Tensor
    spurious: Tensor
    relevant: Tensor
    protected: Tensor
    view: View
    shape: torch.Size
    channels: int

    @property
    def by_step(self) -> bool:
        """Whether this is a series ``(B, 1, T, F)`` of which whole steps are marked."""
        may_be = self.view == "elements" and self.inputs.ndim == 4
        return may_be and bool((self.spurious == self.spurious[..., :1]).all())

    def as_given(self, inputs: Tensor) -> Tensor:
        """Inputs of the grid in the input's own layout."""
        return _turned(inputs) if self.view == "steps" else inputs.reshape(self.shape)

    def as_annotation(self, marked: Tensor) -> Tensor:
        """Marks of the grid in the annotation's own layout."""
        if self.view == "elements":
            return marked.reshape(self.shape)
        if not self.channels:
            return marked.squeeze(1)
        return marked.expand(-1, self.channels, *marked.shape[2:])


def grid_of(given: Tensor, annotation: Tensor, is_embedded: bool) -> Grid:
    """The grid that an annotated input is.

    Embedded tokens ``(B, T, E)`` are steps with channels. Marks with a single channel, or the same in all channels of an image,
    mean places. In a series ``(B, T, F)`` that is marked like itself, it is not known which axis holds the channels, so each
    element is a place; so it is in images, volumes and videos of which single channels or frames are marked.

    Args:
        given: The annotated input.
        annotation: Of the batch.
        is_embedded: Whether the input holds embedded tokens.
    """
    inputs = _turned(given) if is_embedded else given
    channels = annotation.shape[1] if annotation.ndim > 2 else 0
    aligned = align(annotation, inputs)
    grid, on_grid = as_places(inputs, aligned)
    view: View = "elements" if grid is not inputs else "steps" if is_embedded else "places"
    if grid.ndim > 5:  # a grid has three axes at most
        grid, on_grid = grid.flatten(2, 3), on_grid.flatten(2, 3)
    sides = (*marks(on_grid), (~places(on_grid)).to(on_grid))
    spurious, relevant, nowhere = (one if one.shape[1] == 1 else one.amax(1, keepdim=True) for one in sides)
    return Grid(grid, spurious, relevant, torch.maximum(relevant, nowhere), view, given.shape, channels)


def _turned(series: Tensor) -> Tensor:
    return series.transpose(1, 2)
