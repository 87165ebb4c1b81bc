"""Attributions along a path from a baseline to the input."""

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from salreg import checks
from salreg.attributions.base import Attribution
from salreg.attributions.passes import gradients_at, in_passes
from salreg.rng import Rng
from salreg.scores import Score
from salreg.taps import Recording

Rule = Literal["gauss_legendre", "left", "right", "middle", "trapezoid"]


class IntegratedGradients(Attribution):
    r"""Integrated gradients (Sundararajan et al. 2017, eq. 1).

    .. math:: M = (x - b) \sum_k w_k \, \nabla s\big(b + \alpha_k (x - b)\big)

    The sum of the map approaches ``s(x) - s(b)`` as ``steps`` grows. It costs ``steps`` forward and backward passes, run in
    chunks that keep memory bounded, or inside a penalty all at once.

    Args:
        score: The score to explain.
        steps: The number of points on the path.
        baseline: The start of the path: a number, or a tensor that broadcasts to the input.
        rule: How the integral is approximated: ``gauss_legendre``, ``left``, ``right``, ``middle`` or ``trapezoid``.

    Returns when called:
        A tensor in the input's shape, of any sign, in score units.

    Raises:
        ValueError: An unknown rule, fewer than 1 step, or a baseline that does not broadcast to the input.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh())
        >>> x, y = torch.rand(1, 3), torch.tensor([0])
        >>> total = IntegratedGradients()(model, x, y).sum()
        >>> difference = (model(x) - model(torch.zeros(1, 3)))[0, 0]
        >>> torch.allclose(total, difference, atol=1e-5)
        True
    """

    family = "path"

    def __init__(
        self,
        score: str | Score = "target_logit",
        steps: int = 50,
        baseline: float | Tensor = 0.0,
        rule: Rule = "gauss_legendre",
    ) -> None:
        checks.fill(baseline=baseline)
        super().__init__(score)
        self.alphas, self.weights = path_points(steps, rule)
        self.baseline = baseline

    def explain(
        self, recording: Recording, target: Tensor | None = None, *, create_graph: bool = False, scale: Any = None
    ) -> Tensor:
        inputs = recording.activation(None).detach()
        baseline = broadcast(self.baseline, inputs)
        shape = (-1, *[1] * inputs.ndim)
        total = torch.zeros_like(inputs)
        alphas, weights = (values.to(inputs).view(shape) for values in (self.alphas, self.weights))
        # The versions of the input are made piece by piece, too: all at once they are `steps` times the batch.
        pieces = [torch.arange(len(alphas))] if create_graph else _pieces(len(alphas), inputs)
        for chosen in pieces:
            versions = baseline + alphas[chosen] * (inputs - baseline)
            gradients = gradients_at(recording, versions, self.score, target, create_graph)
            total = total + (weights[chosen] * gradients).sum(0)
        return (inputs - baseline) * total


class ExpectedGradients(Attribution):
    r"""Expected gradients: the path starts at random references (Erion et al. 2021).

    .. math:: M = \tfrac{1}{n} \sum_k (x - x'_k) \, \nabla s\big(x'_k + \alpha_k (x - x'_k)\big), \qquad
              x'_k \sim \text{references}, \; \alpha_k \sim U(0, 1)

    Inside a penalty, one draw per step is enough, because the draws of many steps average out.

    Args:
        references: Samples to draw from, ``(N, ...)``; None means the other samples of the batch.
        score: The score to explain.
        samples: The number of draws per sample, each costing a forward and a backward pass.
        seed: The seed of the draws; each call goes on drawing from the same sequence.

    Returns when called:
        A tensor in the input's shape, of any sign, in score units.

    Raises:
        ValueError: The references differ in shape from the samples or, outside a penalty, a batch of one has no references.

    Example:
        >>> model = torch.nn.Linear(3, 2, bias=False)
        >>> x, y = torch.rand(1, 3), torch.tensor([0])
        >>> map = ExpectedGradients(torch.zeros(1, 3), samples=2)(model, x, y)
        >>> torch.allclose(map, x * model.weight[0])
        True
    """

    family = "path"

    def __init__(
        self,
        references: Tensor | None = None,
        score: str | Score = "target_logit",
        samples: int = 1,
        *,
        seed: int = 0,
    ) -> None:
        checks.whole(1, samples=samples)
        checks.tensor(references=references)
        super().__init__(score)
        self.references = references
        self.samples = samples
        self.rng = Rng(seed)

    def explain(
        self, recording: Recording, target: Tensor | None = None, *, create_graph: bool = False, scale: Any = None
    ) -> Tensor:
        inputs = recording.activation(None).detach()
        # A last batch of one must not end a training: it is its own reference, and its map zero.
        alone = self.references is None and len(inputs) == 1 and create_graph
        starts = inputs.unsqueeze(0) if alone else self._starts(inputs)
        alphas = self.rng.uniform((self.samples, len(inputs), *[1] * (inputs.ndim - 1)), like=inputs)
        versions = starts + alphas * (inputs - starts)
        gradients = gradients_at(recording, versions, self.score, target, create_graph)
        return ((inputs - starts) * gradients).mean(0)

    def state_dict(self) -> dict[str, Any]:
        return self.rng.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rng.load_state_dict(state)

    def _starts(self, inputs: Tensor) -> Tensor:
        """A reference for each draw and sample: ``(samples, B, ...)``."""
        size = len(inputs)
        if self.references is None:
            if size < 2:
                raise ValueError("ExpectedGradients without references draws from the batch, which has only one sample.")
            apart = 1 + self.rng.integers(size - 1, (self.samples, size), inputs.device)
            return inputs[(torch.arange(size, device=inputs.device) + apart) % size]
        if self.references.shape[1:] != inputs.shape[1:]:
            raise ValueError(
                f"References of shape {tuple(self.references.shape)} do not fit samples of shape {tuple(inputs.shape[1:])}; "
                "they must be (N, ...), where ... is the shape of a sample."
            )
        chosen = self.rng.integers(len(self.references), (self.samples, size), self.references.device)
        return self.references[chosen].to(inputs)


def path_points(steps: int, rule: str) -> tuple[Tensor, Tensor]:
    """Points in [0, 1] and weights that sum to 1, both ``(n,)``, of a quadrature rule.

    Example:
        >>> path_points(2, "middle")[0].tolist()
        [0.25, 0.75]
    """
    checks.whole(1, steps=steps)
    checks.choice(("gauss_legendre", "left", "right", "middle", "trapezoid"), rule=rule)
    grid = torch.arange(steps, dtype=torch.float64)
    even = torch.full((steps,), 1 / steps, dtype=torch.float64)
    if rule == "gauss_legendre":
        points, weights = np.polynomial.legendre.leggauss(steps)
        return torch.from_numpy((points + 1) / 2), torch.from_numpy(weights / 2)
    if rule == "left":
        return grid / steps, even
    if rule == "right":
        return (grid + 1) / steps, even
    if rule == "middle":
        return (grid + 0.5) / steps, even
    ends = torch.full((steps + 1,), 1 / steps, dtype=torch.float64)
    ends[[0, -1]] /= 2
    return torch.arange(steps + 1, dtype=torch.float64) / steps, ends


def broadcast(baseline: float | Tensor, inputs: Tensor) -> Tensor:
    """The baseline in the inputs' shape; if it does not fit, a ``ValueError`` names both shapes."""
    try:
        return torch.as_tensor(baseline).to(inputs).broadcast_to(inputs.shape)
    except RuntimeError as error:
        shape = tuple(torch.as_tensor(baseline).shape)
        raise ValueError(f"A baseline of shape {shape} does not broadcast to inputs {tuple(inputs.shape)}.") from error


def _pieces(steps: int, inputs: Tensor) -> list[Tensor]:
    size = len(next(in_passes(inputs.expand(steps, *inputs.shape))))
    return list(torch.arange(steps).split(size))
