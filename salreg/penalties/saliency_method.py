"""How a saliency map is differentiated: exactly or by differences, for all samples or few, eagerly or compiled."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from salreg import annotations, checks
from salreg.attributions import Attribution
from salreg.attributions.base import TapAttribution
from salreg.compiled_gradient import CompiledGradient
from salreg.differentiation import (
    FiniteDifference,
    couples_samples,
    kinks,
    parameter_gradients,
    relative_error,
    remedy,
    twice_differentiable,
    without_second_derivative,
)
from salreg.losses.base import PerSample, mean_over_scored
from salreg.penalties.method import Method
from salreg.rng import Rng
from salreg.taps import Recording, WithGradient

Differentiation = Literal["auto", "exact", "finite_difference"] | FiniteDifference

# Up to this share of the batch, a second forward pass on the annotated samples costs less than differentiating all of them:
# it costs about 2.3 plain steps' worth a sample, against 1.5.
_FEW = 0.5


class SaliencyMethod(Method):
    """How the gradient of a map is computed; decided on the first observed forward pass.

    Args:
        attribution: The attribution that computes the map.
        needs_marks: Whether only annotated samples are penalised.
        differentiation: As in ``SaliencyPenalty``; so are ``max_samples``, ``compile`` and the errors.
    """

    def __init__(
        self,
        attribution: Attribution,
        needs_marks: bool,
        differentiation: Differentiation,
        max_samples: int | None,
        compile: bool,
    ) -> None:
        if isinstance(differentiation, str) and differentiation not in ("auto", "exact", "finite_difference"):
            raise ValueError(f"differentiation must be auto, exact or finite_difference, not {differentiation!r}.")
        checks.whole(1, or_none=True, max_samples=max_samples)
        by_differences = FiniteDifference() if differentiation == "finite_difference" else differentiation
        if isinstance(by_differences, FiniteDifference) and not isinstance(attribution, TapAttribution):
            raise ValueError(
                f"Differences need a map that uses one gradient at one tap, which {type(attribution).__name__} does not. Use "
                "differentiation='exact'."
            )
        if compile and (
            by_differences not in ("auto", "exact")
            or max_samples is not None
            or not isinstance(attribution, TapAttribution)
            or attribution.layer is not None
        ):
            raise ValueError(
                "compile=True needs exact gradients at the input for all samples; given were "
                f"differentiation={differentiation!r}, max_samples={max_samples} and {type(attribution).__name__}."
            )
        self.compiled = CompiledGradient(attribution.score) if compile else None
        self.differentiation = by_differences
        self.max_samples = max_samples
        self._attribution = attribution
        self._needs_marks = needs_marks
        self._settled: FiniteDifference | None = None
        self._measured = 0
        self._rng = Rng(0)

    @property
    def exact(self) -> bool:
        return not isinstance(self.differentiation, FiniteDifference) and self._settled is None

    @property
    def late_terms(self) -> bool:
        if self.differentiation == "exact" or not isinstance(self._attribution, TapAttribution):
            return False
        return not self.exact or not self.decided

    def has_separate_pass(self, annotation: Tensor, model: nn.Module) -> bool:
        if not self._needs_marks or not isinstance(self._attribution, TapAttribution):
            return False
        if couples_samples(model) or getattr(model, "_compiler_ctx", None) is not None:
            return False  # of a LightningModule whose steps are compiled nothing is seen but eagerly
        count = int(annotations.is_annotated(annotation).sum())
        if not count and not self.decided:
            return False  # what the network allows is looked up in the first pass, annotated or not
        return min(count, self.max_samples or count) <= _FEW * len(annotation)

    def with_gradient(self, target: Tensor | None) -> WithGradient | None:
        if self.compiled is None or self.compiled.problem or not self.decided:
            return None
        return partial(self.compiled, target=target)

    def on_rows(
        self, recording: Recording, target: Tensor | None, annotation: Tensor
    ) -> tuple[Recording, Tensor | None, Tensor]:
        chosen = annotations.is_annotated(annotation).nonzero().flatten()
        capped = self.max_samples is not None and len(chosen) > self.max_samples and not couples_samples(recording.model)
        if recording.is_tapped and not capped:
            return recording, target, annotation
        if capped:
            order = self._rng.uniform((len(chosen),), like=recording.require_logits().detach()).argsort()
            chosen = chosen[order[: self.max_samples]].sort().values
        if not len(chosen):  # other processes have some
            chosen = torch.zeros(1, dtype=torch.long, device=annotation.device)
        with twice_differentiable(recording.model) if self.exact else nullcontext():
            rows = recording.rows(chosen, late_terms=self.late_terms)
        return rows, None if target is None else target[chosen], annotation[chosen]

    def look_at(self, recording: Recording) -> None:
        self.differences(recording)

    def differences(self, recording: Recording) -> FiniteDifference | None:
        """The finite differences to use, or None for exact gradients; decided on the first observed forward pass.

        Raises:
            RuntimeError: ``auto`` finds no method that works.
            ValueError: Differences were asked for, but the network has kinks.
        """
        if self.decided or not isinstance(self._attribution, TapAttribution):
            return self._settled
        logits, tap = recording.require_logits(), recording.activation(self._attribution.layer)
        if not logits.requires_grad:
            return self._settled
        bent, missing = kinks(logits, tap), without_second_derivative(logits, tap)
        if "CheckpointFunction" in missing:
            raise RuntimeError(f"A reentrant checkpoint has no gradient at the tap. {remedy(missing)}")
        if isinstance(self.differentiation, FiniteDifference):
            if bent and not self.differentiation.allow_kinks:
                raise ValueError(
                    "Differences are wrong across kinks, and there are some between the tap and the logits: "
                    f"{', '.join(bent)}. Use differentiation='exact', smooth activations (GELU, SiLU) and average pooling, or "
                    "FiniteDifference(allow_kinks=True)."
                )
            self._settled, self.decided = self.differentiation, "finite differences, as asked for"
        elif missing:
            operators = ", ".join(missing)
            if self.differentiation == "exact":
                raise RuntimeError(
                    f"PyTorch has no second derivative of {operators}. {remedy(missing)} Or use differentiation='auto'."
                )
            if bent:
                raise RuntimeError(
                    f"PyTorch has no second derivative of {operators}, and finite differences are wrong across the kinks of "
                    f"{', '.join(bent)}. {remedy(missing)}"
                )
            self._settled, self.decided = (
                FiniteDifference(),
                f"finite differences: there is no second derivative of {operators}",
            )
        else:
            self.decided = "a second derivative"
        if self.compiled is not None:
            self._see_whether_it_compiles(recording)
        return self._settled

    def error_of(self, value: Tensor, recording: Recording, exactly: Callable[[Recording], PerSample]) -> float | None:
        how, measured = self._settled, self._measured
        self._measured += 1
        if how is None or not how.check_every or measured % how.check_every:
            return None
        parameters = recording.parameters()
        estimated = parameter_gradients(value, parameters)
        try:
            with twice_differentiable(recording.model):
                exact = parameter_gradients(mean_over_scored(exactly(recording.rows())), parameters)
        except RuntimeError:
            return None  # there is no exact one
        return relative_error(estimated, exact)

    def state_dict(self) -> dict[str, Any]:
        return {"rng": self._rng.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._rng.load_state_dict(state["rng"])

    def _see_whether_it_compiles(self, recording: Recording) -> None:
        assert self.compiled is not None
        if self._settled is not None:
            self.compiled.give_up(f"the gradient is computed by {self.decided}")
        elif not recording.is_one_call:
            self.compiled.give_up(
                "no named module of the model receives the batch's floating point input unchanged and returns the logits"
            )
        else:
            self.decided += (
                ", compiled as one graph with the forward pass from the next step on (compiling takes up to minutes)"
            )
