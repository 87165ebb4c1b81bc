"""The base of all penalties: each is measured on one recorded forward pass and must be able to change the model."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from salreg import annotations
from salreg.attributions import Attribution
from salreg.differentiation import Differences, explained, in_backward, twice_differentiable
from salreg.distributed import sum_over_ranks
from salreg.losses.base import Needs, PerSample, mean_over_scored
from salreg.penalties.method import Method
from salreg.taps import Layer, Options, Recording, record

# Annotated samples that may pass before it is an error that none carries the marks a penalty works on.
_PATIENCE = 32


class DeadPenaltyError(RuntimeError):
    """The penalty cannot change the model: it has no gradient path to any parameter."""


class Evaluated(NamedTuple):
    """The penalty of each sample, before taking the mean.

    Attributes:
        losses: The value of each sample.
        saliency: The maps ``(B, ...)`` it was computed from; None if the penalty needs none.
        annotation: The annotations on the maps' grid.
        differences: Computes its gradient by differences; None if the graph does.
        exactly: If there are differences: computes the same losses with a graph, from another recording of the pass.
    """

    losses: PerSample
    saliency: Tensor | None
    annotation: Tensor
    differences: Differences | None = None
    exactly: Callable[[Recording], PerSample] | None = None


@dataclass
class Measured:
    """The penalty of one batch, and what it was computed from.

    Attributes:
        value: Scalar; differentiable if any sample was scored, otherwise 0.
        saliency: The maps ``(B, ...)``, detached; None if there are none.
        annotation: The annotations on the maps' grid ``(B, ...)``.
        scored: Number of samples that the loss applied to, over all processes.
        undefined: Number of samples of this process that it would apply to, but whose map has no defined value.
        error: The relative error of its gradient by differences; None if that was not checked.
    """

    value: Tensor
    saliency: Tensor | None
    annotation: Tensor
    scored: int
    undefined: int
    error: float | None = None


class Penalty(ABC):
    """A term to add to the training loss, computed from the forward pass that trains the model and the batch's annotations.

    Example of a subclass: ``salreg.SaliencyPenalty``.
    """

    #: The marks without which the penalty does not apply to a sample.
    needed_marks: Needs = "either"
    #: The attribution that the penalty is made from, where it is made from one.
    attribution: Attribution | None = None
    #: The weight where nobody chose one.
    usual_weight: float = 1.0

    def __init__(self) -> None:
        #: How its gradient is taken.
        self.method = Method()
        self._annotated_seen = 0
        self._needed_seen = False

    @property
    def layers(self) -> list[Layer]:
        """The layers whose activations the penalty needs."""
        return []

    @abstractmethod
    def evaluate(self, recording: Recording, target: Tensor | None, annotation: Tensor) -> Evaluated:
        """The penalty of each sample of a recorded forward pass. It is called only if some process has an annotated sample, or
        if the penalty needs no annotation."""

    @contextmanager
    def watch(self, model: nn.Module, annotation: Tensor | None = None, target: Tensor | None = None) -> Iterator["Watch"]:
        """Observe the first call of ``model`` inside the ``with`` block.

        Args:
            model: The module that is called.
            annotation: The batch's annotations, if already known: if few samples are annotated, only these are differentiated.
            target: True classes ``(B,)``, which a compiled step needs at this point if its score does.
        """
        method = self.method
        taps = annotation is None or not method.has_separate_pass(annotation, model)
        together = method.with_gradient(target) if taps else None
        kernels = twice_differentiable(model, compiled=together is not None) if taps and method.exact else nullcontext()
        options = Options(
            self.layers,
            forward_module=model,
            tap_input=taps,
            in_training=True,
            late_terms=method.late_terms,
            stays_compiled=not (taps and method.exact),
            with_gradient=None if together is None else (model, together),
        )
        with kernels, record(model, options) as recording:
            yield Watch(self, recording)

    def measure(self, recording: Recording, target: Tensor | None, annotation: Tensor) -> Measured:
        """The penalty of a recorded forward pass.

        Args:
            recording: From ``salreg.taps.record``.
            target: True classes ``(B,)``, if they are needed.
            annotation: ``(B, 1, H, W)`` for images, ``(B, T)`` for texts, ``(B, F)`` for tables.

        Raises:
            DeadPenaltyError: The penalty has no gradient in any parameter.
            ValueError: The annotation does not fit the map, or no annotated sample carries the marks that the penalty needs.
            RuntimeError: The tap was not reached, or an operator has no second derivative.
        """
        logits = recording.require_logits()
        annotation = recording.without_padding(annotation.to(logits.device))
        if self.needed_marks != "nothing":
            if not sum_over_ranks(annotations.is_annotated(annotation).sum()):
                self.method.look_at(recording)
                return Measured(logits.new_zeros(()), None, annotation, scored=0, undefined=0)
            self.notice_marks(annotation)
        recording, target, annotation = self.method.on_rows(recording, target, annotation)
        losses, saliency, annotation, differences, exactly = self.evaluate(recording, target, annotation)
        value = mean_over_scored(losses)
        if differences is not None and value.requires_grad:
            value = differences.differentiable(value)
        scored = int(sum_over_ranks(losses.scored.sum()))
        if scored and not value.requires_grad:
            raise DeadPenaltyError(
                f"The penalty ({self}) has no gradient path to any parameter. Likely: all parameters between the tap and the "
                "logits are frozen, or the score's gradient there is a constant (a model without a nonlinearity explained by a "
                "logit)."
            )
        saliency = None if saliency is None else saliency.detach()
        error = None if exactly is None or not scored else self.method.error_of(value, recording, exactly)
        undefined = int(losses.undefined.sum())
        return Measured(value if scored else value.detach(), saliency, annotation, scored, undefined, error)

    def check_marks(self) -> None:
        """Raise a ``ValueError`` if there were annotated samples, but none with the marks that the penalty needs."""
        if self._annotated_seen and not self._needed_seen and self.needed_marks in ("spurious", "relevant"):
            other = {"spurious": "relevant", "relevant": "spurious"}[self.needed_marks]
            raise ValueError(
                f"The penalty ({self}) works on {self.needed_marks} marks, but none of the {self._annotated_seen} annotated "
                f"samples seen so far carries one: all marks are {other}. {_REMEDIES[self.needed_marks]}"
            )

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs besides the arguments."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027  # nothing to restore by default
        """Restore ``state_dict``."""

    def __str__(self) -> str:
        return type(self).__name__

    def notice_marks(self, annotation: Tensor) -> None:
        """Record which marks a batch carries, and call ``check_marks`` once there were enough samples."""
        if self._needed_seen:
            return
        self._needed_seen = self.needed_marks == "either" or bool(
            getattr(annotations.marks(annotation), self.needed_marks).any()
        )
        self._annotated_seen += int(annotations.is_annotated(annotation).sum())
        if self._annotated_seen >= _PATIENCE:
            self.check_marks()


_REMEDIES = {
    "spurious": "Mark what the model must not use with -1 (from_boxes(..., outside='spurious') marks everything outside the "
    "boxes), "
    "or use a preset for relevant marks: energy, gals_outside, hint, gradia.",
    "relevant": "Mark what the model should use with +1, or use a preset for spurious marks: rrr, energy, gradmask, cdep.",
}


@dataclass
class Watch:
    """One observed forward pass, whose target and annotation are given later."""

    of: Penalty
    recording: Recording

    def penalty(self, target: Tensor | None, annotation: Tensor) -> Tensor:
        """The penalty, a scalar to add to the task loss; see ``Penalty.measure``."""
        annotations.check(annotation, "The batch of annotations")
        if not (self.of.method.exact and self.recording.is_tapped):
            return self.of.measure(self.recording, target, annotation).value
        as_in_forward = partial(self.recording.as_in_forward, compiled=self.recording.gradient is not None)
        with as_in_forward():  # activation checkpointing runs modules again, whenever a gradient is computed
            value = self.of.measure(self.recording, target, annotation).value
        in_backward(value, as_in_forward)
        return value


def gradient_norms(penalty: Tensor, parameters: Mapping[str, Sequence[Tensor]]) -> dict[str, float]:
    """Norm of the penalty's gradient in each group of trainable parameters; 0 for groups that it does not reach.

    Raises:
        DeadPenaltyError: The gradient reaches none of them.
        RuntimeError: An operator has no second derivative; the message names the remedy.
    """
    every = [parameter for group in parameters.values() for parameter in group]
    try:
        grads = iter(torch.autograd.grad(penalty, every, retain_graph=True, allow_unused=True) if every else ())
    except RuntimeError as error:
        raise explained(error) from error
    squares = {
        name: sum(float(grad.float().square().sum()) for grad in islice(grads, len(group)) if grad is not None)
        for name, group in parameters.items()
    }
    if not any(squares.values()):
        raise DeadPenaltyError(
            f"The penalty is {float(penalty.detach()):g}, but its gradient is zero in every trainable parameter "
            f"({', '.join(squares) or 'there is none'}). Likely: everything between the tap and the logits is frozen, or the "
            "saliency is detached or rounded."
        )
    return {name: square**0.5 for name, square in squares.items()}
