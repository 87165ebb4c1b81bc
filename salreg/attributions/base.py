"""The base of all attributions: a tap, a score, and a call for models after training."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from salreg import scores
from salreg.differentiation import gradient_of
from salreg.taps import Layer, Options, Recording, record


class Attribution(ABC):
    """A saliency map of a recorded forward pass.

    Args:
        score: The score to explain: a name from ``salreg.scores`` or a callable ``(logits, target) -> (B,)``.
        layer: The tap: a layer of the model, by name or as a module; None means the input.
    """

    #: Whether the map is in units of the score. A plain gradient is in score per unit of input instead, and a penalty
    #: multiplies it by the spread of the input.
    in_score_units: bool = True
    #: Whether the map is made from gradients. Without them nothing of the forward pass needs to be kept after training.
    uses_gradients: bool = True
    #: The family of methods that it belongs to: maps of one family tend to move together.
    family: str = "custom"

    def __init__(self, score: str | scores.Score, layer: Layer | None = None) -> None:
        self.score = scores.resolve(score)
        self.layer = layer

    @property
    def layers(self) -> list[Layer]:
        """The layers whose activations the map needs."""
        return [] if self.layer is None else [self.layer]

    @abstractmethod
    def explain(
        self, recording: Recording, target: Tensor | None = None, *, create_graph: bool = False, scale: Any = None
    ) -> Tensor:
        """The map of a recorded forward pass.

        Args:
            recording: From ``salreg.taps.record``.
            target: True classes ``(B,)``, for scores that need them.
            create_graph: Keep the map differentiable in the model's parameters.
            scale: A function of the activation; the gradient is multiplied by its result.

        Raises:
            RuntimeError: The recording does not hold the tap, or the score has no gradient there.
        """

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs besides the arguments: the random generator, if the attribution has one."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027  # nothing to restore by default
        """Restore ``state_dict``."""

    def __call__(self, model: nn.Module, inputs: Any, target: Tensor | None = None) -> Tensor:
        """The saliency map of a model, trained or during training.

        The model's mode, parameters, ``.grad`` and hooks stay unchanged. It works under ``no_grad`` and in inference mode.

        Args:
            model: Any module; its output is the logits, or holds them as ``.logits`` or ``["logits"]``.
            inputs: A tensor ``(B, ...)``, a tuple of positional arguments, or a mapping of keyword arguments.
            target: True classes ``(B,)``, for scores that need them.

        Returns:
            The detached map, in the shape that the class documents.
        """
        with torch.inference_mode(False), torch.set_grad_enabled(self.uses_gradients):
            with record(model, Options(self.layers, forward_module=model, tap_input=self.uses_gradients)) as recording:
                _call(model, inputs)
            return self.explain(recording, target).detach()


class TapAttribution(Attribution):
    """A map that is a function of the activation at one tap and the gradient of the score there."""

    @abstractmethod
    def saliency(self, activation: Tensor, gradient: Tensor) -> Tensor:
        """The map, one row per sample, from the activation at the tap and the gradient there (both ``(B, ...)``)."""

    def explain(
        self, recording: Recording, target: Tensor | None = None, *, create_graph: bool = False, scale: Any = None
    ) -> Tensor:
        activation = recording.activation(self.layer)
        gradient = gradient_at(recording, self.layer, self.score, target, create_graph)
        return self.saliency(activation, gradient if scale is None else gradient * scale(activation))


def gradient_at(
    recording: Recording, layer: Layer | None, score: scores.Score, target: Tensor | None, create_graph: bool
) -> Tensor:
    """The gradient of a score at a tap of a recorded forward pass."""
    if recording.gradient is not None and layer is None:
        return recording.gradient
    values = scores.evaluate(score, recording.require_logits(), target, recording.link)
    return gradient_of(values, recording.activation(layer), create_graph=create_graph)


def _call(model: nn.Module, inputs: Any) -> None:
    if isinstance(inputs, Mapping):
        model(**inputs)
    elif isinstance(inputs, tuple):
        model(*inputs)
    else:
        model(inputs)
