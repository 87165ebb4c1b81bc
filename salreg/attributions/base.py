"""What every attribution shares: a tap, a score, and how it is called after training."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from salreg import scores
from salreg.differentiation import gradient
from salreg.taps import Layer, Recording, record


class Attribution(ABC):
    """A saliency map as a function of the activation at a tap and the gradient of a score there.

    Args:
        score: What is explained: a name from ``salreg.scores`` or a callable ``(logits, target) -> (B,)``.
        layer: The tap: a layer of the model by name or as a module; None reads at the input.
    """

    #: Whether the map is in units of the score. A plain gradient is in score per unit of input instead, and a penalty
    #: multiplies it by the spread of the input.
    in_score_units: bool = True

    def __init__(self, score: str | scores.Score, layer: Layer | None = None) -> None:
        self.score = scores.resolve(score)
        self.layer = layer

    @property
    def layers(self) -> list[Layer]:
        """The layers whose activations the map needs."""
        return [] if self.layer is None else [self.layer]

    @abstractmethod
    def saliency(self, activation: Tensor, gradient: Tensor) -> Tensor:
        """The map, one row per sample, from the activation at the tap and the gradient there (both ``(B, ...)``)."""

    def explain(
        self, recording: Recording, target: Tensor | None = None, *, create_graph: bool = False, scale: Any = None
    ) -> Tensor:
        """The map of a recorded forward pass.

        Args:
            recording: From ``salreg.taps.record``.
            target: True classes ``(B,)``, for scores that need them.
            create_graph: Keep the map differentiable in the model's parameters.
            scale: Called with the activation; its result multiplies the gradient.

        Raises:
            RuntimeError: The recording holds no such tap, or the score no gradient at it.
        """
        activation = recording.activation(self.layer)
        score = scores.evaluate(self.score, recording.require_logits(), target)
        slope = gradient(score, activation, create_graph=create_graph)
        return self.saliency(activation, slope if scale is None else slope * scale(activation))

    def __call__(self, model: nn.Module, inputs: Any, target: Tensor | None = None) -> Tensor:
        """The saliency map of a model that is already trained, or just being trained.

        The model stays as it is: mode, parameters, ``.grad`` and hooks. Works under ``no_grad`` and inference mode.

        Args:
            model: Any module; its output is the logits, or holds them as ``.logits`` or ``["logits"]``.
            inputs: A tensor ``(B, ...)``; a tuple of positional or a mapping of keyword arguments.
            target: True classes ``(B,)``, for scores that need them.

        Returns:
            The map, detached, in the shape the class documents.
        """
        with torch.inference_mode(False), torch.enable_grad():
            with record(model, self.layers, forward_module=model) as recording:
                _call(model, inputs)
            return self.explain(recording, target).detach()


def _call(model: nn.Module, inputs: Any) -> None:
    if isinstance(inputs, Mapping):
        model(**inputs)
    elif isinstance(inputs, tuple):
        model(*inputs)
    else:
        model(inputs)
