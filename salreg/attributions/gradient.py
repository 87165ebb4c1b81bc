"""Gradients at the input."""

from torch import Tensor

from salreg.attributions.base import Attribution
from salreg.scores import Score


class InputGradient(Attribution):
    r"""The gradient of the score at the input, signed.

    .. math:: M_i = \partial s_i / \partial x_i \qquad\text{or, with times\_input,}\qquad
              M_i = x_i \, \partial s_i / \partial x_i

    With the default score this is the map of Ross et al., "Right for the Right Reasons" (2017), eq. 1; with
    ``score="target_logit"`` and ``times_input=True`` it is Input x Gradient (Shrikumar et al. 2016).

    Args:
        score: What is explained.
        times_input: Multiply by the input.

    Returns when called:
        A tensor in the input's own shape, ``(B, C, H, W)`` for images, any sign, in score per unit of input (or in
        score units with ``times_input``).

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> x = torch.ones(1, 2)
        >>> map = InputGradient(score="target_logit")(model, x, torch.tensor([0]))
        >>> torch.equal(map[0], model.weight[0])
        True
    """

    def __init__(self, score: str | Score = "log_prob_sum", times_input: bool = False) -> None:
        super().__init__(score)
        self.times_input = times_input
        self.in_score_units = times_input

    def saliency(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return activation * gradient if self.times_input else gradient
