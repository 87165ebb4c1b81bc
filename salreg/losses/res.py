"""Robust explanation supervision: for marks that are inexact at their borders."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d, relu

from salreg import checks
from salreg.annotations import is_annotated, marks
from salreg.losses.base import AttributionLoss, PerSample, split
from salreg.losses.normalization import normalize
from salreg.losses.supervised import mean_of, relevant_places, there


class RobustSupervision(AttributionLoss):
    r"""RES (Gao et al. 2022): a slack for wrong marks, and soft borders for imprecise ones.

    .. math:: L_i = \tfrac{1}{P} \sum_d |\hat M_{id} - (g * R_i)_d| + \mathrm{ReLU}\Big(
              \tfrac{1}{n_i} \sum_{d: Y_{id} \ne 0} |\tanh(5 (\hat M_{id} - a_i)) - Y_{id}| - \eta\Big)

    with Y the annotation in {-1, 0, +1}, R its relevant side, n its marked places, g a 3 x 3 Gaussian whose result is scaled to
    a maximum of 1, the map scaled to [0, 1] (min-max), and a the threshold that best separates relevant from spurious places:
    the one with the largest shares of the spurious places below it and of the relevant places above it.

    It departs from the published code in three ways: a is found per sample instead of per batch, over all candidate values at
    once instead of in a loop; the gradient is complete (there a is a constant); and the code's learned boundary transforms are
    left out.

    Args:
        slack: eta, the amount of disagreement with the marks that costs nothing.

    Example:
        >>> exact = RobustSupervision()(torch.eye(6).view(1, 1, 6, 6), torch.eye(6).view(1, 1, 6, 6) * 2 - 1)
        >>> bool(exact < RobustSupervision()(1 - torch.eye(6).view(1, 1, 6, 6), torch.eye(6).view(1, 1, 6, 6) * 2 - 1))
        True
    """

    needed_marks = "relevant"

    def __init__(self, slack: float = 0.1) -> None:
        checks.number("[0, inf)", slack=slack)
        self.slack = slack

    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        if saliency.ndim > 2:
            saliency, annotation = saliency.sum(1, keepdim=True), annotation[:, :1]
        maps, defined = normalize(saliency.flatten(1), "min_max")
        inside = there(annotation)
        labels = (annotation.flatten(1).sign() * inside).to(maps.dtype)
        softened = soft_borders(marks(annotation).relevant.to(maps.dtype)).flatten(1)
        separated = torch.tanh(5 * (maps - best_threshold(maps, labels, inside)))
        marked = labels != 0
        disagreement = ((separated - labels).abs() * marked).sum(1) / marked.sum(1).clamp(min=1)
        value = mean_of((maps - softened).abs(), inside) + relu(disagreement - self.slack)
        return split(value, is_annotated(relevant_places(saliency, annotation)), defined)


def soft_borders(relevant: Tensor) -> Tensor:
    """Images of marks ``(B, 1, H, W)`` blurred by a 3 x 3 Gaussian, to a maximum of 1; marks of other shapes stay unchanged."""
    if relevant.ndim != 4:
        return relevant
    row = relevant.new_tensor([0.25, 0.5, 0.25])
    blurred = conv2d(relevant, torch.outer(row, row).view(1, 1, 3, 3), padding=1)
    return blurred / blurred.amax((1, 2, 3), keepdim=True).clamp(min=1e-6)


def best_threshold(maps: Tensor, labels: Tensor, inside: Tensor | None = None) -> Tensor:
    """The value in each map that best separates places labelled +1 from places labelled -1: ``(B, 1)``.

    Example:
        >>> best_threshold(torch.tensor([[0.1, 0.4, 0.9]]), torch.tensor([[-1.0, -1.0, 1.0]])).item()
        0.8999999761581421
    """
    if inside is not None:  # all others go to the end, where they separate nothing
        maps = maps.where(inside, torch.full_like(maps, torch.inf))
    order = maps.argsort(dim=1, stable=True)
    values, labels = maps.gather(1, order), labels.gather(1, order)
    share = [(side / side.sum(1, keepdim=True).clamp(min=1)) for side in ((labels < 0).to(maps), (labels > 0).to(maps))]
    spurious_below = share[0].cumsum(1) - share[0]
    relevant_above = share[1].flip(1).cumsum(1).flip(1)
    return values.gather(1, (spurious_below + relevant_above).argmax(1, keepdim=True))
