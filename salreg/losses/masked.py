"""Losses that square the saliency on the marks."""

import torch
from torch import Tensor

from salreg.annotations import is_annotated
from salreg.losses.base import AttributionLoss, PerSample


class RightForRightReasons(AttributionLoss):
    r"""Sum of squares of the saliency on the spurious marks (Ross et al. 2017, eq. 1, second term).

    .. math:: L_i = \sum_d (A_{id} M_{id})^2

    with A the spurious marks in ``[0, 1]``. The mean runs over the samples that carry a spurious mark.

    Example:
        >>> RightForRightReasons()(torch.tensor([[3.0, 5.0]]), torch.tensor([[-1.0, 0.0]])).item()
        9.0
    """

    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        spurious = annotation.clamp(max=0)  # the sign is squared away
        weighted = (spurious * saliency).flatten(1)
        scored = is_annotated(spurious)
        # x * x rather than x.square(), whose derivative costs three more passes over the map
        return PerSample((weighted * weighted).sum(1), scored, torch.zeros_like(scored))
