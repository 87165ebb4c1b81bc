"""The main penalty: an attribution and a loss, composed."""

from typing import Any

from torch import Tensor

from salreg import annotations, attributions, losses
from salreg.attributions import Attribution
from salreg.input_spread import InputSpread
from salreg.losses import AttributionLoss
from salreg.penalties.base import Evaluated, Penalty
from salreg.taps import Layer, Recording


class SaliencyPenalty(Penalty):
    r"""An attribution and a loss, composed: ``loss(attribution(activation, gradient), annotation)``.

    The forward pass that trains the model also serves the penalty; no second one is run. Gradients at the input are
    multiplied by the input's spread (``salreg.input_spread``), so that rescaled data gives the same penalty.

    Args:
        attribution: An ``Attribution`` or its name.
        loss: An ``AttributionLoss`` or its name: ``"rrr"``, ``"energy"``.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from torch.nn.functional import cross_entropy
        >>> model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
        >>> x, y = torch.randn(4, 3), torch.tensor([0, 1, 0, 1])
        >>> annotation = torch.tensor([[-1, 0, 0]] * 4)  # the first column is spurious
        >>> penalty = SaliencyPenalty("input_gradient", "rrr")
        >>> with penalty.watch(model) as watch:
        ...     logits = model(x)
        >>> loss = cross_entropy(logits, y) + 1.0 * watch.penalty(y, annotation)
        >>> loss.backward()
    """

    attribution: Attribution

    def __init__(
        self, attribution: str | attributions.MapFunction | Attribution = "input_gradient", loss: str | AttributionLoss = "rrr"
    ) -> None:
        super().__init__()
        self.attribution = attributions.resolve(attribution)
        self.loss = losses.resolve(loss)
        self.needs = self.loss.needs
        self.spread = InputSpread()

    @property
    def layers(self) -> list[Layer]:
        return self.attribution.layers

    def evaluate(self, recording: Recording, target: Tensor | None, annotation: Tensor) -> Evaluated:
        scale = None
        if not self.attribution.in_score_units:
            used = annotations.is_annotated(annotation) | (self.needs == "nothing")
            self.spread.update(recording.activation(None), used)
            scale = self.spread
        saliency = self.attribution.explain(recording, target, create_graph=True, scale=scale)
        if self.attribution.layer is not None and saliency.ndim == 4:
            annotation = annotations.coarsen(annotation, (saliency.shape[-2], saliency.shape[-1]))
        annotation = annotations.align(annotation, saliency)
        if saliency.ndim < 4:  # of a text: nothing that lies on padding or special tokens counts
            saliency = saliency * annotations.places(annotation)
        return Evaluated(self.loss.per_sample(saliency, annotation), saliency, annotation)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs: the spread of the inputs seen so far, and the attribution's random generator."""
        return {"spread": self.spread.state_dict(), "attribution": self.attribution.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.spread.load_state_dict(state["spread"])
        self.attribution.load_state_dict(state["attribution"])

    def __str__(self) -> str:
        return f"{type(self.loss).__name__} of {type(self.attribution).__name__}"
