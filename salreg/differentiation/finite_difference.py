r"""The gradient of a penalty on a gradient, by a difference of first-order gradients.

With g the gradient of the scores at a tap and v = dP/dg,

.. math:: \frac{d}{d\theta} P(g) = \frac{d}{d\theta} \langle g, v \rangle
          = \lim_{\epsilon \to 0} \nabla_\theta \frac{S(a + \epsilon v) - S(a)}{\epsilon}

for S the sum of the scores: whatever has a first derivative will do, compiled modules and fused attention too. The limit is
good where the network is smooth, and wrong where it has kinks between a and a + epsilon v.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from salreg import checks
from salreg.differentiation.exact import explained
from salreg.differentiation.late_terms import LateTerms

# Lengths of the step as a share of the activation's own length, by the precision of the forward pass: measured against exact
# second derivatives in float64, see docs/performance.md.
_STEPS = {torch.float64: (1e-7, 1e-5), torch.float32: (3e-4, 1e-3), torch.bfloat16: (2e-2, 2e-2), torch.float16: (5e-3, 5e-3)}


@dataclass(frozen=True)
class FiniteDifference:
    """Settings for finite differences.

    Args:
        sides: 1 compares with the training's own pass and costs one more pass; 2 compares with a second one, costs two, and is
            more accurate. By default 1, but 2 in half precision, where rounding requires it.
        step: Length of the step as a share of the activation's length at the tap; the default depends on the precision.
        allow_kinks: Also take differences across ReLUs, max-pooling and the like, where they are wrong by 30% or more.
        check_every: The number of penalised steps between comparisons of the gradient with the exact one, if that is available;
            0 means never.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> FiniteDifference(sides=2).sides
        2
    """

    sides: int | None = None
    step: float | None = None
    allow_kinks: bool = False
    check_every: int = 100

    def __post_init__(self) -> None:
        checks.whole(1, or_none=True, sides=self.sides)
        if self.sides not in (None, 1, 2):
            raise ValueError(f"sides must be 1, 2 or None, not {self.sides}.")
        checks.number("(0, inf)", or_none=True, step=self.step)
        checks.flag(allow_kinks=self.allow_kinks)
        checks.whole(0, check_every=self.check_every)

    def sides_for(self, dtype: torch.dtype) -> int:
        """1 or 2, for a forward pass in that precision."""
        return self.sides or (2 if dtype in (torch.bfloat16, torch.float16) else 1)

    def step_for(self, dtype: torch.dtype) -> float:
        """The length of the step as a share of the activation's, likewise."""
        return _STEPS.get(dtype, _STEPS[torch.float32])[self.sides_for(dtype) - 1] if self.step is None else self.step


@dataclass
class Differences:
    """What is needed to take the differences of one forward pass.

    Attributes:
        how: The settings.
        precision: The number format of the forward pass.
        activation: At the tap ``(B, ...)``.
        gradient: The scores' gradient there, a leaf that requires grad, from which the penalty is computed.
        scores: ``(B,)``, of the forward pass, with its graph.
        scores_at: The scores of some samples at a shifted activation: from the shift ``(b, ...)``, the samples' indices (None:
            all) and what stands for which tensors.
        late: Where the second pass finds its place.
        coupled: Whether samples influence each other (BatchNorm in train mode): then all of them share one step.
        together: Whether all samples have to be in a pass, because they are coupled or because it draws random numbers.
    """

    how: FiniteDifference
    precision: torch.dtype
    activation: Tensor
    gradient: Tensor
    scores: Tensor
    scores_at: Callable[[Tensor, Tensor | None, dict[int, Tensor]], Tensor]
    late: LateTerms
    coupled: bool
    together: bool

    def differentiable(self, penalty: Tensor) -> Tensor:
        """The same number, with the gradient in the parameters that it has through the scores' gradient."""
        (direction,) = torch.autograd.grad(penalty, self.gradient, retain_graph=True, allow_unused=True)
        if direction is None:
            return penalty
        step = self._step(direction)
        moving = step.isfinite()
        if not moving.any():
            return penalty
        rows = None if self.together or moving.all() else moving.nonzero().flatten()
        chosen = slice(None) if rows is None else rows
        step = step.where(moving, step.new_ones(()))[chosen]
        shift = (_per_sample(step, self.activation) * direction.float()[chosen]).to(self.activation.dtype)
        sides = (1,) if self.how.sides_for(self.precision) == 1 else (1, -1)

        def pass_of_its_own(upstream: Tensor, stand_ins: dict[int, Tensor]) -> Tensor:
            scores = sum(side * self.scores_at(side * shift, rows, stand_ins).float() for side in sides)
            return upstream * (scores / (len(sides) * step)).sum()

        change = self.late.add(pass_of_its_own)
        if len(sides) == 1:
            here = (self.scores.float()[chosen] / step).sum()
            change = change - (here - here.detach())
        return penalty + change.to(penalty.dtype)

    def _step(self, direction: Tensor) -> Tensor:
        """Epsilon of each sample ``(B,)``; infinite where there is no direction to go."""
        relative = self.how.step_for(self.precision)
        lengths, far = (one.detach().double().flatten(1).norm(dim=1) for one in (self.activation, direction))
        lengths = lengths.where(lengths > 0, lengths.mean())
        if self.coupled:
            return (relative * lengths.norm() / far.norm()).expand(len(far)).to(self.scores.dtype)
        return (relative * lengths / far).float()


def relative_error(estimated: list[Tensor | None], exact: list[Tensor | None]) -> float:
    """The length of the difference of two gradients over the length of the second; None counts as zeros."""
    pairs = [
        (0 if one is None else one, 0 if other is None else other)
        for one, other in zip(estimated, exact, strict=True)
        if one is not None or other is not None
    ]
    off, size = (sum(_squares(one) for one in many) for many in ([a - b for a, b in pairs], [b for _, b in pairs]))
    return float((off / size) ** 0.5) if size else float("nan")


def parameter_gradients(value: Tensor, parameters: list[Tensor]) -> list[Tensor | None]:
    """The gradient of a value in each parameter; its graph stays.

    Raises:
        RuntimeError: An operator has no second derivative; the message names the remedy.
    """
    try:
        return list(torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True))
    except RuntimeError as error:
        raise explained(error) from error


def _squares(gradient: Any) -> float:
    return float(torch.as_tensor(gradient).double().square().sum())


def _per_sample(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.ndim - 1))
