"""Losses that count where the positive saliency lies."""

from torch import Tensor

from salreg.annotations import is_annotated, marks
from salreg.losses.base import AttributionLoss, PerSample


class EnergyLoss(AttributionLoss):
    r"""The share of positive saliency that lies where it should not (Rao et al. 2023: one minus the energy pointing game).

    .. math:: L_i = \frac{\sum_d b_{id} M^+_{id}}{\sum_d M^+_{id}}, \qquad
              b = \begin{cases} 1 - R & \text{where the sample has relevant marks } R \\ A & \text{otherwise}\end{cases}

    M+ is the positive part of the map, summed over its channels first; A are the spurious marks. In ``[0, 1]``. A map
    without positive saliency has no such share: it is undefined, counted, and left out of the mean over the annotated
    samples.

    Example:
        >>> import torch
        >>> EnergyLoss()(torch.tensor([[3.0, 1.0, -9.0]]), torch.tensor([[1.0, 0.0, 0.0]])).item()
        0.25
    """

    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        if saliency.ndim > 2:
            saliency = saliency.sum(1, keepdim=True)
        energy = saliency.clamp(min=0).flatten(1)
        spurious, relevant = (side.flatten(1) for side in marks(annotation))
        misplaced = (1 - relevant).where(is_annotated(relevant).unsqueeze(1), spurious)
        total = energy.sum(1)
        annotated, defined = is_annotated(annotation), total > 0
        share = (energy * misplaced).sum(1) / total.where(defined, total.new_ones(()))
        return PerSample(share, annotated & defined, annotated & ~defined)
