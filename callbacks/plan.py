"""What passes between a regularizer and the step that it regularises: asked once before the step, and once for the loss."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pytorch_lightning as pl
from torch import Tensor

from salreg.data import AnnotatedBatch
from salreg.taps import Layer, Recording, WithGradient


@dataclass(frozen=True)
class Plan:
    """What one regularizer does with one training step.

    Attributes:
        layers: The layers whose outputs are taps.
        taps: Whether the input and the layers are taps, or samples get a pass of their own later.
        exact: Whether the forward pass runs on kernels that have a second derivative.
        late_terms: Whether terms of the loss may run it again when its graph is gone.
        with_gradient: Gives what makes the forward pass and takes its gradient in one go, where that is wanted and nobody else
            needs the pass (``alone``).
        penalise: From the loss and what was seen to the loss with the penalty.
    """

    layers: list[Layer]
    taps: bool
    exact: bool
    late_terms: bool
    with_gradient: Callable[..., WithGradient | None]
    penalise: Callable[[Tensor, Recording], Tensor]


class Regularizer(Protocol):
    """What changes training batches, or adds a penalty to the training loss."""

    @property
    def intervenes(self) -> bool:
        """Whether it changes training batches."""

    def intervene(self, batch: AnnotatedBatch, module: pl.LightningModule) -> AnnotatedBatch:
        """The batch to train on in place of another."""

    def check_unannotated(self) -> bool:
        """Whether batches without annotations are penalised, too; an error if they should have some."""

    def plan(self, batch: AnnotatedBatch, module: pl.LightningModule) -> Plan | None:
        """What the coming step is to provide; None if it is not penalised. Asked once per step."""
