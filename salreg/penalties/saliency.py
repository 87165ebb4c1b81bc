"""The main penalty: a loss on an attribution."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from salreg import annotations, attributions, losses, scores
from salreg.attributions import Attribution, InputGradient
from salreg.attributions.base import TapAttribution
from salreg.differentiation import Differences, FiniteDifference, couples_samples, gradient_of
from salreg.input_spread import InputSpread
from salreg.losses import AttributionLoss, RightForRightReasons
from salreg.losses.base import PerSample
from salreg.penalties.base import Evaluated, Penalty
from salreg.penalties.saliency_method import Differentiation, SaliencyMethod
from salreg.taps import Layer, Recording


class SaliencyPenalty(Penalty):
    r"""Applies a loss to an attribution: ``loss(attribution(activation, gradient), annotation)``.

    The penalty uses the forward pass that trains the model. A second pass is run only if at most half of the samples are
    annotated: these then get a separate pass, so that the other samples cost nothing. With BatchNorm in train mode, where the
    samples depend on each other, there is no separate pass; with Dropout, it draws other masks. Gradients at the input are
    multiplied by the input's spread (``salreg.input_spread``), so that rescaled data gives the same penalty.

    Args:
        attribution: An ``Attribution`` or its name.
        loss: An ``AttributionLoss`` or its name: ``"rrr"``, ``"energy"``.
        differentiation: ``exact``: by a second derivative. ``finite_difference``: by a difference of first derivatives (see
            ``FiniteDifference``), which also works with compiled modules and fused attention, but only for maps that use one
            gradient and for networks without kinks after the tap. ``auto``: exact, or by differences if an operator has no
            second derivative.
        max_samples: The largest number of annotated samples per batch, chosen at random, that the penalty is computed from; not
            with BatchNorm in train mode.
        compile: Compile the forward pass and the gradient at its floating point input as one graph, from the second penalised
            pass on; see ``salreg.compiled_gradient``.

    Raises:
        ValueError: An unknown ``differentiation``, ``max_samples`` below 1, differences for a map that does not use exactly one
            gradient, or ``compile`` combined with differences, with ``max_samples``, or with a map that does not use exactly
            one gradient at the input.

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
    method: SaliencyMethod

    def __init__(
        self,
        attribution: str | Mapping[str, Any] | attributions.MapFunction | Attribution = "input_gradient",
        loss: str | Mapping[str, Any] | AttributionLoss = "rrr",
        *,
        differentiation: Differentiation = "auto",
        max_samples: int | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.attribution = attributions.resolve(attribution)
        self.loss = losses.resolve(loss)
        self.needed_marks = self.loss.needed_marks
        self.spread = InputSpread()
        self.differentiate(differentiation, max_samples, compile)

    def differentiate(self, differentiation: Differentiation, max_samples: int | None = None, compile: bool = False) -> None:
        """Choose how the gradient is computed; see the class."""
        self.method = SaliencyMethod(self.attribution, self.needed_marks != "nothing", differentiation, max_samples, compile)

    @property
    def layers(self) -> list[Layer]:
        return self.attribution.layers

    def evaluate(self, recording: Recording, target: Tensor | None, annotation: Tensor) -> Evaluated:
        if not self.attribution.in_score_units:
            used = annotations.is_annotated(annotation) | (self.needed_marks == "nothing")
            self._measure_spread(recording.activation(None), annotation, used)
        how = self.method.differences(recording)
        return self._exactly(recording, target, annotation) if how is None else self._nearly(how, recording, target, annotation)

    def observe(self, recording: Recording, target: Tensor | None, annotation: Tensor) -> Evaluated:
        """The same maps and losses, in the same units, without a graph: for monitoring, not for training."""
        if not self.attribution.in_score_units:
            self._measure_spread(recording.activation(None), annotation, annotations.is_annotated(annotation))
        return self._compared(self.attribution.explain(recording, target, scale=self._scale), annotation)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs: the spread of the inputs seen so far, and the random generators."""
        return {
            "spread": self.spread.state_dict(),
            "attribution": self.attribution.state_dict(),
            "method": self.method.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.spread.load_state_dict(state["spread"])
        self.attribution.load_state_dict(state["attribution"])
        self.method.load_state_dict(state["method"])

    @property
    def usual_weight(self) -> float:  # type: ignore[override]
        """The default weight: the one that measured best, see "A weight that travels" in docs/results.md."""
        squares_of_gradients = isinstance(self.attribution, InputGradient) and isinstance(self.loss, RightForRightReasons)
        return 100.0 if squares_of_gradients else 1.0

    def __str__(self) -> str:
        return f"{type(self.loss).__name__} of {type(self.attribution).__name__}"

    def _measure_spread(self, inputs: Tensor, annotation: Tensor, used: Tensor) -> None:
        by_place = inputs.ndim == 3 and annotation.shape == inputs.shape and inputs.shape[1] > 1
        self.spread.update(inputs, used, by_place)

    @property
    def _scale(self) -> InputSpread | None:
        return None if self.attribution.in_score_units else self.spread

    def _exactly(self, recording: Recording, target: Tensor | None, annotation: Tensor) -> Evaluated:
        saliency = self.attribution.explain(recording, target, create_graph=True, scale=self._scale)
        return self._compared(saliency, annotation)

    def _nearly(self, how: FiniteDifference, recording: Recording, target: Tensor | None, annotation: Tensor) -> Evaluated:
        """The same values, from a gradient without a graph, whose own gradient is computed by differences."""
        attribution = self.attribution
        assert isinstance(attribution, TapAttribution)
        assert recording.late is not None
        layer, activation = attribution.layer, recording.activation(attribution.layer)
        values = scores.evaluate(attribution.score, recording.require_logits(), target, recording.link)
        gradient = gradient_of(values, activation).detach().requires_grad_()
        saliency = attribution.saliency(activation, gradient if self._scale is None else gradient * self._scale(activation))

        def scores_at(shift: Tensor, rows: Tensor | None, stand_ins: dict[int, Tensor]) -> Tensor:
            logits = recording.shifted(layer, shift, rows, stand_ins)
            chosen = target if rows is None or target is None else target[rows]
            return scores.evaluate(attribution.score, logits, chosen, recording.link)

        coupled = couples_samples(recording.model)
        together = coupled or recording.is_random
        differences = Differences(
            how, recording.precision, activation, gradient, values, scores_at, recording.late, coupled, together
        )

        def exactly(again: Recording) -> PerSample:
            return self._exactly(again, target, annotation).losses

        return self._compared(saliency, annotation)._replace(differences=differences, exactly=exactly)

    def _compared(self, saliency: Tensor, annotation: Tensor) -> Evaluated:
        if self.attribution.layer is not None and saliency.ndim == 4:
            annotation = annotations.coarsen(annotation, (saliency.shape[-2], saliency.shape[-1]))
        annotation = annotations.align(annotation, saliency)
        if saliency.ndim < 4:  # of a text: nothing that lies on padding or special tokens counts
            saliency = saliency * annotations.places(annotation)
        losses = self.loss.per_sample(*annotations.as_places(saliency, annotation))
        return Evaluated(losses, saliency, annotation)
