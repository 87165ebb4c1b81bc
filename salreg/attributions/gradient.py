"""Gradients at the input, and their mean and variance over noise."""

from typing import Any

from torch import Tensor

from salreg import checks
from salreg.attributions.base import Attribution, TapAttribution
from salreg.attributions.passes import gradients_at
from salreg.rng import Rng
from salreg.scores import Score
from salreg.taps import Recording


class InputGradient(TapAttribution):
    r"""The signed gradient of the score at the input.

    .. math:: M_i = \partial s_i / \partial x_i \qquad\text{or, with times\_input,}\qquad
              M_i = x_i \, \partial s_i / \partial x_i

    With the default score this is the map of Ross et al., "Right for the Right Reasons" (2017), eq. 1; with
    ``score="target_logit"`` and ``times_input=True`` it is Input x Gradient (Shrikumar et al. 2016).

    Args:
        score: The score to explain.
        times_input: Multiply by the input.

    Returns when called:
        A tensor in the input's shape, ``(B, C, H, W)`` for images, of any sign, in score per unit of input (in score units with
        ``times_input``).

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> x = torch.ones(1, 2)
        >>> map = InputGradient(score="target_logit")(model, x, torch.tensor([0]))
        >>> torch.equal(map[0], model.weight[0])
        True
    """

    family = "gradient"

    def __init__(self, score: str | Score = "log_prob_sum", times_input: bool = False) -> None:
        checks.flag(times_input=times_input)
        super().__init__(score)
        self.times_input = times_input
        self.in_score_units = times_input

    def saliency(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return activation * gradient if self.times_input else gradient


class InputTimesGradient(InputGradient):
    """``InputGradient(score="target_logit", times_input=True)``: Input x Gradient (Shrikumar et al. 2016).

    Example:
        >>> InputTimesGradient().times_input
        True
    """

    def __init__(self, score: str | Score = "target_logit") -> None:
        super().__init__(score, times_input=True)


class SmoothGrad(Attribution):
    r"""The mean gradient over noisy copies of the input (Smilkov et al. 2017).

    .. math:: M_i = \tfrac{1}{n} \sum_{k=1}^n \partial s(x_i + \epsilon_k) / \partial x, \qquad
              \epsilon_k \sim N(0, \sigma_i^2), \quad \sigma_i = \text{noise} \cdot (\max x_i - \min x_i)

    It costs ``samples`` forward and backward passes; inside a penalty all of them are differentiated twice.

    Args:
        score: The score to explain.
        samples: The number of noisy copies.
        noise: Standard deviation of the noise, as a share of each sample's range.
        seed: The seed of the noise; each call goes on drawing from the same sequence.

    Returns when called:
        A tensor in the input's shape, in score per unit of input.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> map = SmoothGrad("target_logit", samples=4)(model, torch.rand(1, 2), torch.tensor([0]))
        >>> torch.allclose(map[0], model.weight[0])
        True
    """

    family = "gradient"
    in_score_units = False

    def __init__(self, score: str | Score = "log_prob_sum", samples: int = 8, noise: float = 0.1, *, seed: int = 0) -> None:
        checks.whole(1, samples=samples)
        checks.number("[0, inf)", noise=noise)
        super().__init__(score)
        self.samples = samples
        self.noise = noise
        self.rng = Rng(seed)

    def explain(
        self, recording: Recording, target: Tensor | None = None, *, create_graph: bool = False, scale: Any = None
    ) -> Tensor:
        gradients = self._gradients(recording, target, create_graph)
        mean = self._reduce(gradients)
        return mean if scale is None else mean * self._unit(scale(recording.activation(None)))

    def state_dict(self) -> dict[str, Any]:
        return self.rng.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rng.load_state_dict(state)

    def _gradients(self, recording: Recording, target: Tensor | None, create_graph: bool) -> Tensor:
        """The gradients at the noisy copies, ``(samples, B, ...)``."""
        inputs = recording.activation(None)
        rows = inputs.detach().flatten(1)
        deviation = self.noise * (rows.amax(1) - rows.amin(1)).view(-1, *[1] * (inputs.ndim - 1))
        noise = self.rng.normal((self.samples, *inputs.shape), like=inputs)
        return gradients_at(recording, inputs + deviation * noise, self.score, target, create_graph)

    def _reduce(self, gradients: Tensor) -> Tensor:
        return gradients.mean(0)

    def _unit(self, scale: Tensor) -> Tensor:
        return scale


class VarGrad(SmoothGrad):
    r"""The variance of the gradient over noisy copies of the input (Adebayo et al. 2018).

    .. math:: M_i = \tfrac{1}{n} \sum_k g_{ik}^2 - \big(\tfrac{1}{n} \sum_k g_{ik}\big)^2

    Arguments and shape are as for ``SmoothGrad``; the map is non-negative, in squared score per squared unit of input.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(2, 2)
        >>> map = VarGrad("target_logit", samples=4)(model, torch.rand(1, 2), torch.tensor([0]))
        >>> torch.allclose(map, torch.zeros(1, 2), atol=1e-6)
        True
    """

    def _reduce(self, gradients: Tensor) -> Tensor:
        return gradients.var(0, correction=0)

    def _unit(self, scale: Tensor) -> Tensor:
        return scale.square()
