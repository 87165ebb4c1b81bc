"""The main penalty: an attribution and a loss, composed."""

from contextlib import nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from salreg import annotations, attributions, checks, losses, scores
from salreg.attributions import Attribution, InputGradient
from salreg.attributions.base import TapAttribution
from salreg.compiled_slope import CompiledSlope
from salreg.differentiation import (
    Differences,
    FiniteDifference,
    couples_samples,
    gradient,
    kinks,
    parameter_gradients,
    relative_error,
    remedy,
    twice_differentiable,
    without_second_derivative,
)
from salreg.draws import Draws
from salreg.input_spread import InputSpread
from salreg.losses import AttributionLoss, RightForRightReasons
from salreg.losses.base import mean_over_scored
from salreg.penalties.base import Evaluated, Penalty
from salreg.taps import Layer, Recording

Differentiation = Literal["auto", "exact", "finite_difference"] | FiniteDifference

# Up to this share of the batch, a second forward pass on the annotated samples costs less than differentiating all of them:
# it costs about 2.3 plain steps' worth a sample, against 1.5.
_FEW = 0.5


class SaliencyPenalty(Penalty):
    r"""An attribution and a loss, composed: ``loss(attribution(activation, gradient), annotation)``.

    The forward pass that trains the model also serves the penalty; no second one is run, but where half of the samples or
    fewer are annotated: these get a pass of their own, so that the rest costs nothing (not with BatchNorm in train mode,
    where all samples belong together; with Dropout that pass draws other masks). Gradients at the input are multiplied by
    the input's spread (``salreg.input_spread``), so that rescaled data gives the same penalty.

    Args:
        attribution: An ``Attribution`` or its name.
        loss: An ``AttributionLoss`` or its name: ``"rrr"``, ``"energy"``.
        differentiation: ``exact``: by a second derivative. ``finite_difference``: by a difference of first derivatives
            (``FiniteDifference`` says how), which compiled modules and fused attention have, too; only for maps made of one
            gradient, and for networks without kinks behind the tap. ``auto``: exact, and by differences where an operator has
            no second derivative.
        max_rows: Make the penalty from at most so many annotated samples of a batch, chosen at random; not with BatchNorm in
            train mode.
        compile: Compile the forward pass and the gradient at its floating point input as one graph, from the second penalised
            pass on; see ``salreg.compiled_slope``.

    Raises:
        ValueError: Another word, fewer than one row, differences of a map that is not made of one gradient, or ``compile``
            beside differences, ``max_rows``, or a map that is not made of one gradient at the input.

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
        self,
        attribution: str | attributions.MapFunction | Attribution = "input_gradient",
        loss: str | AttributionLoss = "rrr",
        *,
        differentiation: Differentiation = "auto",
        max_rows: int | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.attribution = attributions.resolve(attribution)
        self.loss = losses.resolve(loss)
        self.needs = self.loss.needs
        self.spread = InputSpread()
        self.differentiate(differentiation, max_rows, compile)

    def differentiate(self, differentiation: Differentiation, max_rows: int | None = None, compile: bool = False) -> None:
        """Choose how the gradient is taken; see the class."""
        if isinstance(differentiation, str) and differentiation not in ("auto", "exact", "finite_difference"):
            raise ValueError(f"differentiation is auto, exact or finite_difference, not {differentiation!r}.")
        checks.whole(1, or_none=True, max_rows=max_rows)
        if max_rows is not None and max_rows < 1:
            raise ValueError(f"max_rows is at least 1, not {max_rows}.")
        by_differences = FiniteDifference() if differentiation == "finite_difference" else differentiation
        if isinstance(by_differences, FiniteDifference) and not isinstance(self.attribution, TapAttribution):
            raise ValueError(
                f"Differences are for maps made of one gradient at one tap, which {type(self.attribution).__name__} is not. "
                "Take differentiation='exact'."
            )
        if compile and (
            by_differences not in ("auto", "exact")
            or max_rows is not None
            or not isinstance(self.attribution, TapAttribution)
            or self.attribution.layer is not None
        ):
            raise ValueError(
                "compile=True is for exact gradients at the input, of all samples: not with differentiation="
                f"{differentiation!r}, max_rows={max_rows} or {type(self.attribution).__name__}."
            )
        self.compiled = CompiledSlope(self.attribution.score) if compile else None
        self.differentiation = by_differences
        self.max_rows = max_rows
        self.way = ""
        self._settled: FiniteDifference | None = None
        self._measured = 0
        self._draws = Draws(0)

    @property
    def layers(self) -> list[Layer]:
        return self.attribution.layers

    @property
    def exact(self) -> bool:
        return not isinstance(self.differentiation, FiniteDifference) and self._settled is None

    @property
    def late_terms(self) -> bool:
        if self.differentiation == "exact" or not isinstance(self.attribution, TapAttribution):
            return False
        return not self.exact or not self.way

    def apart(self, annotation: Tensor, model: nn.Module) -> bool:
        if self.needs == "nothing" or not isinstance(self.attribution, TapAttribution):
            return False
        if couples_samples(model) or getattr(model, "_compiler_ctx", None) is not None:
            return False  # of a LightningModule whose steps are compiled nothing is seen but eagerly
        count = int(annotations.is_annotated(annotation).sum())
        if not count and not self.way:
            return False  # what the network allows is looked up in the first pass, annotated or not
        return min(count, self.max_rows or count) <= _FEW * len(annotation)

    def on_rows(
        self, recording: Recording, target: Tensor | None, annotation: Tensor
    ) -> tuple[Recording, Tensor | None, Tensor]:
        chosen = annotations.is_annotated(annotation).nonzero().flatten()
        capped = self.max_rows is not None and len(chosen) > self.max_rows and not couples_samples(recording.model)
        if recording.is_tapped and not capped:
            return recording, target, annotation
        if capped:
            order = self._draws.uniform((len(chosen),), like=recording.require_logits().detach()).argsort()
            chosen = chosen[order[: self.max_rows]].sort().values
        if not len(chosen):  # other processes have some
            chosen = torch.zeros(1, dtype=torch.long, device=annotation.device)
        with twice_differentiable(recording.model) if self.exact else nullcontext():
            rows = recording.rows(chosen, late_terms=self.late_terms)
        return rows, None if target is None else target[chosen], annotation[chosen]

    def evaluate(self, recording: Recording, target: Tensor | None, annotation: Tensor) -> Evaluated:
        if not self.attribution.in_score_units:
            used = annotations.is_annotated(annotation) | (self.needs == "nothing")
            self._measure_spread(recording.activation(None), annotation, used)
        self._measured += 1
        how = self._how(recording)
        return self._exactly(recording, target, annotation) if how is None else self._nearly(how, recording, target, annotation)

    def look_at(self, recording: Recording) -> None:
        self._how(recording)

    def observe(self, recording: Recording, target: Tensor | None, annotation: Tensor) -> Evaluated:
        """The same maps and losses, in the same units, without a graph: to be looked at, not trained by."""
        if not self.attribution.in_score_units:
            self._measure_spread(recording.activation(None), annotation, annotations.is_annotated(annotation))
        return self._compared(self.attribution.explain(recording, target, scale=self._scale), annotation)

    def error_of(self, value: Tensor, recording: Recording, target: Tensor | None, annotation: Tensor) -> float | None:
        how = self._settled
        if how is None or not how.check_every or (self._measured - 1) % how.check_every:
            return None
        parameters = recording.parameters()
        estimated = parameter_gradients(value, parameters)
        try:
            with twice_differentiable(recording.model):
                again = self._exactly(recording.rows(), target, annotation)
                exact = parameter_gradients(mean_over_scored(again.losses), parameters)
        except RuntimeError:
            return None  # there is no exact one
        return relative_error(estimated, exact)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs: the spread of the inputs seen so far, and the random generators."""
        return {
            "spread": self.spread.state_dict(),
            "attribution": self.attribution.state_dict(),
            "draws": self._draws.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.spread.load_state_dict(state["spread"])
        self.attribution.load_state_dict(state["attribution"])
        self._draws.load_state_dict(state["draws"])

    @property
    def usual_weight(self) -> float:  # type: ignore[override]
        """The weight where nobody chose one: what measured best, see "A weight that travels" in docs/results.md."""
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
        """The same numbers, from a gradient without a graph, whose own gradient is taken by differences."""
        attribution = self.attribution
        assert isinstance(attribution, TapAttribution)
        assert recording.late is not None
        layer, activation = attribution.layer, recording.activation(attribution.layer)
        values = scores.evaluate(attribution.score, recording.require_logits(), target, recording.link)
        slope = gradient(values, activation).detach().requires_grad_()
        saliency = attribution.saliency(activation, slope if self._scale is None else slope * self._scale(activation))

        def scores_at(shift: Tensor, rows: Tensor | None, stand_ins: dict[int, Tensor]) -> Tensor:
            logits = recording.shifted(layer, shift, rows, stand_ins)
            chosen = target if rows is None or target is None else target[rows]
            return scores.evaluate(attribution.score, logits, chosen, recording.link)

        coupled = couples_samples(recording.model)
        together = coupled or recording.is_random
        differences = Differences(
            how, recording.precision, activation, slope, values, scores_at, recording.late, coupled, together
        )
        return self._compared(saliency, annotation)._replace(differences=differences)

    def _compared(self, saliency: Tensor, annotation: Tensor) -> Evaluated:
        if self.attribution.layer is not None and saliency.ndim == 4:
            annotation = annotations.coarsen(annotation, (saliency.shape[-2], saliency.shape[-1]))
        annotation = annotations.align(annotation, saliency)
        if saliency.ndim < 4:  # of a text: nothing that lies on padding or special tokens counts
            saliency = saliency * annotations.places(annotation)
        return Evaluated(self.loss.per_sample(saliency, annotation), saliency, annotation)

    def _how(self, recording: Recording) -> FiniteDifference | None:
        """By which differences, or None for exactly; decided on the first forward pass that is seen.

        Raises:
            RuntimeError: ``auto`` finds no way.
            ValueError: Differences across kinks.
        """
        if self.way or not isinstance(self.attribution, TapAttribution):
            return self._settled
        logits, tap = recording.require_logits(), recording.activation(self.attribution.layer)
        if not logits.requires_grad:
            return self._settled
        bent, missing = kinks(logits, tap), without_second_derivative(logits, tap)
        if "CheckpointFunction" in missing:
            raise RuntimeError(f"A reentrant checkpoint has no gradient at the tap. {remedy(missing)}")
        if isinstance(self.differentiation, FiniteDifference):
            if bent and not self.differentiation.allow_kinks:
                raise ValueError(
                    f"Differences are wrong across kinks, and between the tap and the logits there are: {', '.join(bent)}. "
                    "Take differentiation='exact', smooth activations (GELU, SiLU) and average pooling, or "
                    "FiniteDifference(allow_kinks=True)."
                )
            self._settled, self.way = self.differentiation, "finite differences, as asked for"
        elif missing:
            operators = ", ".join(missing)
            if self.differentiation == "exact":
                raise RuntimeError(
                    f"PyTorch has no second derivative of {operators}. {remedy(missing)} Or take differentiation='auto'."
                )
            if bent:
                raise RuntimeError(
                    f"PyTorch has no second derivative of {operators}, and finite differences are wrong across the kinks of "
                    f"{', '.join(bent)}. {remedy(missing)}"
                )
            self._settled, self.way = FiniteDifference(), f"finite differences: there is no second derivative of {operators}"
        else:
            self.way = "a second derivative"
        if self.compiled is not None:
            self._see_whether_it_compiles(recording)
        return self._settled

    def _see_whether_it_compiles(self, recording: Recording) -> None:
        assert self.compiled is not None
        if self._settled is not None:
            self.compiled.give_up(f"the gradient is taken by {self.way}")
        elif not recording.is_one_call:
            self.compiled.give_up(
                "no named module of the model receives the batch's floating point input as it is and returns the logits"
            )
        else:
            self.way += ", compiled as one graph with the forward pass from the next step on (compiling takes up to minutes)"
