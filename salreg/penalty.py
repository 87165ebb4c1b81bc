"""The penalty: an attribution loss of the current batch, differentiable in the model's parameters."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from salreg import annotations, attributions, losses
from salreg.attributions import Attribution
from salreg.differentiation import explained, twice_differentiable
from salreg.distributed import sum_over_ranks
from salreg.input_spread import InputSpread
from salreg.losses import AttributionLoss
from salreg.losses.base import mean_over_scored
from salreg.taps import Recording, record


class DeadPenaltyError(RuntimeError):
    """The penalty cannot change the model: it has no gradient path to any parameter."""


@dataclass
class Penalty:
    """A penalty and what it was made from.

    Attributes:
        value: Scalar; differentiable if any sample was scored, otherwise 0.
        saliency: The maps ``(B, ...)``, detached; None where no sample of any process is annotated.
        annotation: The annotations on the maps' grid ``(B, ...)``.
        scored: Number of samples the loss applied to, over all processes.
        undefined: Number of annotated samples of this process whose map gave no value.
    """

    value: Tensor
    saliency: Tensor | None
    annotation: Tensor
    scored: int
    undefined: int


class SaliencyPenalty:
    r"""An attribution and a loss, composed: ``loss(attribution(activation, gradient), annotation)``.

    The forward pass that trains the model also serves the penalty; no second one is run. Gradients at the input are
    multiplied by the input's spread (``salreg.input_spread``), so that rescaled data gives the same penalty.

    Args:
        attribution: An ``Attribution`` or its name.
        loss: An ``AttributionLoss`` or its name: ``"rrr"``, ``"energy"``.

    Example:
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

    def __init__(self, attribution: str | Attribution = "input_gradient", loss: str | AttributionLoss = "rrr") -> None:
        self.attribution = attributions.resolve(attribution)
        self.loss = losses.resolve(loss)
        self.spread = InputSpread()

    @contextmanager
    def watch(self, model: nn.Module) -> Iterator["Watch"]:
        """Observe the first call of ``model`` inside the ``with`` block."""
        with twice_differentiable(model), record(model, self.attribution.layers, forward_module=model) as recording:
            yield Watch(self, recording)

    def measure(self, recording: Recording, target: Tensor | None, annotation: Tensor) -> Penalty:
        """The penalty of a recorded forward pass.

        Args:
            recording: From ``salreg.taps.record``.
            target: True classes ``(B,)``, where the score needs them.
            annotation: ``(B, 1, H, W)`` for images, ``(B, F)`` for tables.

        Raises:
            DeadPenaltyError: The penalty has no gradient.
            ValueError: The annotation does not fit the map.
            RuntimeError: The tap was not reached, or an operator has no second derivative.
        """
        at_input = self.attribution.layer is None
        logits = recording.require_logits()
        annotated = annotations.is_annotated(annotation).to(logits.device)
        if not sum_over_ranks(annotated.sum()):
            return Penalty(logits.new_zeros(()), None, annotation, scored=0, undefined=0)
        if at_input and not self.attribution.in_score_units:
            self.spread.update(recording.activation(None), annotated)
            saliency = self.attribution.explain(recording, target, create_graph=True, scale=self.spread)
        else:
            saliency = self.attribution.explain(recording, target, create_graph=True)
        if not at_input:
            annotation = annotations.coarsen(annotation, (saliency.shape[-2], saliency.shape[-1]))
        annotation = annotations.align(annotation, saliency)
        per_sample = self.loss.per_sample(saliency, annotation)
        value = mean_over_scored(per_sample)
        scored = int(sum_over_ranks(per_sample.scored.sum()))
        if scored and not value.requires_grad:
            raise DeadPenaltyError(
                f"The penalty ({type(self.loss).__name__} of {type(self.attribution).__name__}) has no gradient path to "
                "any parameter. Likely: all parameters between the tap and the logits are frozen, or the score's "
                "gradient there is a constant (a model without a nonlinearity explained by a logit)."
            )
        return Penalty(
            value if scored else value.detach(), saliency.detach(), annotation, scored, int(per_sample.undefined.sum())
        )

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs: the spread of the inputs seen so far, and the attribution's random generator."""
        return {"spread": self.spread.state_dict(), "attribution": self.attribution.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.spread.load_state_dict(state["spread"])
        self.attribution.load_state_dict(state["attribution"])


@dataclass
class Watch:
    """One observed forward pass, waiting for its target and annotation."""

    of: SaliencyPenalty
    recording: Recording

    def penalty(self, target: Tensor | None, annotation: Tensor) -> Tensor:
        """The penalty, a scalar to add to the task loss; see ``SaliencyPenalty.measure``."""
        annotations.check(annotation, "The batch of annotations")
        return self.of.measure(self.recording, target, annotation).value


def gradient_norms(penalty: Tensor, parameters: Mapping[str, Sequence[Tensor]]) -> dict[str, float]:
    """Norm of the penalty's gradient in each group of trainable parameters; 0 where it does not reach.

    Raises:
        DeadPenaltyError: It reaches none of them.
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
