"""Custom attributions, and Captum's."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from salreg.attributions.base import Attribution
from salreg.taps import Recording

MapFunction = Callable[[nn.Module, Any, Tensor | None], Tensor]


class CustomAttribution(Attribution):
    """An attribution from any function ``(model, inputs, target) -> map``.

    The bare function is accepted wherever an attribution is. Inside a penalty the map must be differentiable in the model's
    parameters: call the model once more and differentiate with ``create_graph=True``.

    Args:
        function: Called with the module, its input as given (a tuple or a dict if there are several) and the target.

    Raises:
        TypeError: The function does not return a tensor.
        RuntimeError: Inside a penalty, the map carries no gradient.

    Example:
        >>> import torch
        >>> model = nn.Linear(2, 2)
        >>> CustomAttribution(lambda model, inputs, target: inputs.abs())(model, -torch.ones(1, 2)).tolist()
        [[1.0, 1.0]]
    """

    def __init__(self, function: MapFunction) -> None:
        super().__init__("predicted_logit")
        self.function = function

    def explain(
        self, recording: Recording, target: Tensor | None = None, *, create_graph: bool = False, scale: Any = None
    ) -> Tensor:
        recording.require_logits()
        recording.close()
        model, inputs = _as_called(recording)
        saliency = self.function(model, inputs, target)
        if not isinstance(saliency, Tensor):
            raise TypeError(f"{self.name} returned {type(saliency).__name__}; a map must be a tensor.")
        if create_graph and not saliency.requires_grad:
            raise RuntimeError(
                f"The map of {self.name} carries no gradient, so a penalty on it could not change the model. Differentiate "
                "with create_graph=True and detach nothing, or use it for snapshots and metrics only."
            )
        return saliency

    @property
    def name(self) -> str:
        """The name of the function or of its class."""
        return str(getattr(self.function, "__name__", type(self.function).__name__))


class CaptumAttribution(CustomAttribution):
    """A Captum attribution object, for snapshots and metrics.

    Captum detaches most of its maps, and some maps that seem to carry a gradient have an incomplete one. Inside a penalty the
    wrapper therefore refuses them, unless the object's ``gradient_func`` was replaced by one that differentiates with
    ``create_graph=True``.

    Args:
        captum: For example ``captum.attr.IntegratedGradients(model)``.
        **options: Passed on to its ``attribute``.

    Raises:
        RuntimeError: Inside a penalty, the map carries no complete gradient.

    Example:
        >>> import torch
        >>> from captum.attr import InputXGradient
        >>> model = nn.Linear(2, 2)
        >>> CaptumAttribution(InputXGradient(model))(model, torch.ones(1, 2), torch.tensor([0])).shape
        torch.Size([1, 2])
    """

    def __init__(self, captum: Any, **options: Any) -> None:
        super().__init__(self._attribute)
        self.captum = captum
        self.options = options

    def explain(
        self, recording: Recording, target: Tensor | None = None, *, create_graph: bool = False, scale: Any = None
    ) -> Tensor:
        own = getattr(getattr(self.captum, "gradient_func", None), "__module__", "captum")
        if create_graph and own.startswith("captum"):
            raise RuntimeError(
                f"The map of Captum's {self.name} carries no complete gradient (Captum detaches it, or parts of it), so a "
                "penalty on it would not train the model correctly. Use salreg's attribution of that name inside penalties."
            )
        return super().explain(recording, target, create_graph=create_graph, scale=scale)

    def _attribute(self, model: nn.Module, inputs: Any, target: Tensor | None) -> Tensor:
        saliency = self.captum.attribute(inputs, target=target, **self.options)
        return saliency[0] if isinstance(saliency, tuple) else saliency

    @property
    def name(self) -> str:
        return type(self.captum).__name__


class _Step(nn.Module):
    """A user's step from its input to the logits, for functions that call a module."""

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self._recorded = [recording]  # in a list, so that the model does not become a part of this one

    def forward(self, inputs: Tensor) -> Tensor:
        return self._recorded[0].repeat(inputs).require_logits()


def _as_called(recording: Recording) -> tuple[nn.Module, Any]:
    """The module that returned the logits and its input as given; or the whole step, if it does more than call a module."""
    if recording.module is None:
        return _Step(recording), recording.activation(None)
    if recording.kwargs:
        return recording.module, recording.kwargs
    return recording.module, recording.args[0] if len(recording.args) == 1 else recording.args
