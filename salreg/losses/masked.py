"""Losses that square the saliency on the marks."""

from torch import Tensor

from salreg.annotations import is_annotated, marks
from salreg.losses.base import AttributionLoss, PerSample


class RightForRightReasons(AttributionLoss):
    r"""Sum of squares of the saliency on the spurious marks (Ross et al. 2017, eq. 1, second term).

    .. math:: L_i = \sum_d (A_{id} M_{id})^2

    with A the spurious marks in ``[0, 1]``. The mean runs over the samples that carry a spurious mark.

    Example:
        >>> import torch
        >>> RightForRightReasons()(torch.tensor([[3.0, 5.0]]), torch.tensor([[-1.0, 0.0]])).item()
        9.0
    """

    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        spurious = marks(annotation).spurious
        scored = is_annotated(spurious)
        return PerSample((spurious * saliency).square().flatten(1).sum(1), scored, scored.new_zeros(scored.shape))
