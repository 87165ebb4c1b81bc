"""Losses on where the positive saliency lies."""

from torch import Tensor

from salreg.annotations import is_annotated
from salreg.losses.base import AttributionLoss, PerSample, misplaced, per_place, split


class EnergyLoss(AttributionLoss):
    r"""The share of positive saliency that lies where it should not (Rao et al. 2023: one minus the energy pointing game).

    .. math:: L_i = \frac{\sum_d b_{id} M^+_{id}}{\sum_d M^+_{id}}, \qquad
              b = \begin{cases} 1 - R & \text{where the sample has relevant marks } R \\ A & \text{otherwise}\end{cases}

    M+ is the positive part of the map after summing its channels; A are the spurious marks. The loss is in ``[0, 1]``. A map
    without positive saliency has no such share: it counts as undefined and is left out of the mean over the annotated samples.

    Example:
        >>> import torch
        >>> EnergyLoss()(torch.tensor([[3.0, 1.0, -9.0]]), torch.tensor([[1.0, 0.0, 0.0]])).item()
        0.25
    """

    needed_marks = "either"

    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        energy = per_place(saliency).clamp(min=0)
        if saliency.ndim > 2:
            annotation = annotation[:, :1]
        total = energy.sum(1)
        defined = total > 0
        share = (energy * misplaced(annotation).flatten(1)).sum(1) / total.where(defined, total.new_ones(()))
        return split(share, is_annotated(annotation), defined)
