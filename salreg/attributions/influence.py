"""Saliency weighted by the influence of each input place on learning."""

from typing import Any

import torch
from torch import Tensor

from salreg import scores
from salreg.attributions.base import Attribution
from salreg.scores import Score
from salreg.taps import Recording


class InfluenceGradient(Attribution):
    r"""RBR's map (Shao et al. 2021): the input gradient times the input's influence, with the identity as Hessian.

    .. math:: M = \nabla_x s \odot \nabla_x \Big(\sum_\theta \frac{\partial \ell}{\partial \theta}\Big)

    where the inner sum runs over all parameters of the network and l is the batch's mean cross-entropy. A penalty on it needs
    third derivatives and is the most expensive of all.

    Args:
        score: The score to explain.

    Returns when called:
        A tensor in the input's shape, of any sign.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
        >>> InfluenceGradient()(model, torch.rand(5, 3), torch.tensor([0, 1, 0, 1, 0])).shape
        torch.Size([5, 3])
    """

    family = "influence"
    in_score_units = False

    def __init__(self, score: str | Score = "log_prob_sum") -> None:
        super().__init__(score)

    def explain(
        self, recording: Recording, target: Tensor | None = None, *, create_graph: bool = False, scale: Any = None
    ) -> Tensor:
        inputs, logits = recording.activation(None), recording.require_logits()
        loss = scores.evaluate(scores.task_loss, logits, target, recording.link).mean()
        gradients = torch.autograd.grad(loss, recording.parameters(), create_graph=True, allow_unused=True)
        influence = torch.stack([gradient.sum() for gradient in gradients if gradient is not None]).sum()
        values = scores.evaluate(self.score, logits, target, recording.link).sum()
        one, other = (
            torch.autograd.grad(value, inputs, create_graph=create_graph, retain_graph=True)[0] for value in (values, influence)
        )
        # The mean divides each sample's influence by the batch's size; its own share should not depend on its company.
        saliency = one * other * len(inputs)
        return saliency if scale is None else saliency * scale(inputs).square()
