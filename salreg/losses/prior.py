"""Losses on the map alone, whatever the annotation. They apply to every sample, annotated or not."""

import torch
from torch import Tensor

from salreg.losses.base import AttributionLoss, PerSample, per_place, split


class TotalVariation(AttributionLoss):
    r"""Neighbouring pixels should carry similar saliency (Erion et al. 2021, the image prior).

    .. math:: L_i = \tfrac{1}{n} \sum_{c,u,v} |M_{u+1,v} - M_{u,v}| + |M_{u,v+1} - M_{u,v}|

    Neighbours are taken along all axes except the batch and the channel, if there is one. The mean over the n pairs of
    neighbours, instead of the paper's sum, keeps images of all sizes comparable.

    Example:
        >>> TotalVariation()(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]]), torch.zeros(1, 1, 2, 2)).item()
        0.5
    """

    needed_marks = "nothing"

    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        axes = range(2 if saliency.ndim > 2 else 1, saliency.ndim)
        return _of_all(torch.cat([saliency.diff(dim=axis).abs().flatten(1) for axis in axes], 1).mean(1))


class GiniPrior(AttributionLoss):
    r"""Few places should carry most of the saliency (Erion et al. 2021, the sparsity prior): minus the Gini coefficient.

    .. math:: L_i = -\frac{\sum_{j,k} |\,|M_j| - |M_k|\,|}{2 P \sum_j |M_j|}

    It is in ``(-1, 0]``; a map of zeros is undefined. The paper takes the coefficient of the batch's mean |M|; here each sample
    has its own.

    Example:
        >>> GiniPrior()(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2)).item()
        -0.5
    """

    needed_marks = "nothing"

    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        ordered, _ = per_place(saliency).abs().sort(1)
        places = ordered.shape[1]
        # Over all pairs, the sorted value number i is the larger one i times and the smaller one P - 1 - i times.
        weight = 2 * torch.arange(1, places + 1, device=ordered.device, dtype=ordered.dtype) - places - 1
        total = ordered.sum(1)
        defined = total > 0
        value = -(weight * ordered).sum(1) / (places * total.where(defined, total.new_ones(())))
        return split(value, torch.ones_like(defined), defined)


def _of_all(value: Tensor) -> PerSample:
    every = torch.ones(len(value), dtype=torch.bool, device=value.device)
    return PerSample(value, every, ~every)
