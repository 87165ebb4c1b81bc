"""How a penalty's gradient is computed: on which samples, with which kernels, by which derivative."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from salreg.compiled_gradient import CompiledGradient
from salreg.losses.base import PerSample
from salreg.taps import Recording, WithGradient


class Method:
    """The method of most penalties: differentiates the graph of the forward pass that trains the model, for all samples.

    Attributes:
        decided: How the gradient is computed and why, in words, once that was decided.
        compiled: Compiles the forward pass together with its gradient, if asked for.
    """

    decided: str = ""
    compiled: CompiledGradient | None = None

    @property
    def exact(self) -> bool:
        """Whether the forward pass must use kernels that have a second derivative."""
        return True

    @property
    def late_terms(self) -> bool:
        """Whether the penalty may run the call again after the training's graph was freed."""
        return False

    def has_separate_pass(self, annotation: Tensor, model: nn.Module) -> bool:
        """Whether the differentiated samples get a separate forward pass, so that the training's own pass needs no taps."""
        return False

    def with_gradient(self, target: Tensor | None) -> WithGradient | None:
        """A compiled function that runs the forward pass and returns the input gradient, or None."""
        return None

    def on_rows(
        self, recording: Recording, target: Tensor | None, annotation: Tensor
    ) -> tuple[Recording, Tensor | None, Tensor]:
        """The samples that the penalty is computed from."""
        return recording, target, annotation

    def look_at(self, recording: Recording) -> None:
        """Find out, from a pass in which no sample is annotated, whether the network can be penalised."""

    def error_of(self, value: Tensor, recording: Recording, exactly: Callable[[Recording], PerSample]) -> float | None:
        """The relative error of the gradient by differences, or None if it is not checked at this step."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs beside the arguments."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore ``state_dict``."""
