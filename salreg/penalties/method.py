"""How a penalty's gradient is taken: on which samples, on which kernels, by which derivative."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from salreg.compiled_gradient import CompiledGradient
from salreg.losses.base import PerSample
from salreg.taps import Recording, WithGradient


class Method:
    """The way of most penalties: by the graph of the forward pass that trains the model, of all its samples.

    Attributes:
        decided: How the gradient is taken and why, in words, once that was decided.
        compiled: What compiles the forward pass together with its gradient, where that is wanted.
    """

    decided: str = ""
    compiled: CompiledGradient | None = None

    @property
    def exact(self) -> bool:
        """Whether the forward pass has to run on kernels that have a second derivative."""
        return True

    @property
    def late_terms(self) -> bool:
        """Whether the penalty may run the call again when the training's graph is gone."""
        return False

    def has_separate_pass(self, annotation: Tensor, model: nn.Module) -> bool:
        """Whether the samples that are differentiated get a forward pass of their own, so that the training's needs no taps."""
        return False

    def with_gradient(self, target: Tensor | None) -> WithGradient | None:
        """What makes the forward pass and takes its gradient in one go, where that is wanted and possible."""
        return None

    def on_rows(
        self, recording: Recording, target: Tensor | None, annotation: Tensor
    ) -> tuple[Recording, Tensor | None, Tensor]:
        """The samples that the penalty is made from."""
        return recording, target, annotation

    def look_at(self, recording: Recording) -> None:
        """Find out whether the network can be penalised from a pass in which no sample is annotated."""

    def error_of(self, value: Tensor, recording: Recording, exactly: Callable[[Recording], PerSample]) -> float | None:
        """How far the gradient of a value by differences is from the exact one, if that is to be looked at now."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs beside the arguments."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore ``state_dict``."""
