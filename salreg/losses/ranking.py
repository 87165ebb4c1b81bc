"""Losses on the order of places rather than on their values."""

import torch
from torch import Tensor

from salreg.annotations import is_annotated, places
from salreg.losses.base import AttributionLoss, PerSample, per_place, split
from salreg.losses.supervised import relevant_places, there


class RankingLoss(AttributionLoss):
    r"""HINT's ranking (Selvaraju et al. 2019): places that a person marked higher should carry more saliency.

    .. math:: L_i = \frac{1}{|\mathcal P_i|} \sum_{(j, k) \in \mathcal P_i} \max(0, M_{ik} - M_{ij})

    over the pairs of places where the person marked j higher than k: relevant above unknown above spurious (only the sign
    counts, not the size of a soft mark). The mean over the pairs, instead of the paper's sum, keeps images of all sizes
    comparable. A sample with the same mark everywhere has no pairs and is undefined. It costs a sort of the map, not a pass
    over all pairs.

    Example:
        >>> RankingLoss()(torch.tensor([[1.0, 3.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]])).item()
        1.0
    """

    needed_marks = "either"

    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        maps = per_place(saliency)
        level = (annotation[:, :1] if saliency.ndim > 2 else annotation).flatten(1)
        relevant, unknown, spurious = (level > 0) & places(level), level == 0, level < 0
        total, pairs = maps.new_zeros(len(maps)), maps.new_zeros(len(maps))
        for above, below in ((relevant, unknown), (relevant, spurious), (unknown, spurious)):
            total = total + _excess(maps, above, below)
            pairs = pairs + above.sum(1) * below.sum(1)
        return split(total / pairs.clamp(min=1), is_annotated(annotation), pairs > 0)


class OrderLoss(AttributionLoss):
    r"""Every relevant place should carry at least the saliency of the highest other place (Huang et al. 2021; ER-Test).

    .. math:: L_i = \sum_{j: R_{ij} > 0} \min\Big(\frac{\sigma(M_{ij})}{\max_{k: R_{ik} = 0} \sigma(M_{ik})} - 1, \, 0\Big)^2

    with the sigmoid, as in ER-Test, which keeps the ratio positive. A sample that is relevant everywhere is undefined.

    Example:
        >>> OrderLoss()(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])).item()
        0.0
    """

    needed_marks = "relevant"

    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        relevant = relevant_places(saliency, annotation) > 0
        others = ~relevant & there(annotation)
        maps = per_place(saliency).sigmoid()
        highest = maps.where(others, maps.new_zeros(())).amax(1, keepdim=True)
        defined = others.any(1)
        short = (maps / highest.where(defined.unsqueeze(1), highest.new_ones(())) - 1).clamp(max=0)
        return split((short.square() * relevant).sum(1), relevant.any(1), defined)


def _excess(maps: Tensor, above: Tensor, below: Tensor) -> Tensor:
    """The sum of ``max(0, m_k - m_j)`` over all j in ``above`` and k in ``below``: ``(B,)`` from ``(B, P)``."""
    infinite = torch.full_like(maps, torch.inf)
    ordered, _ = maps.where(above, infinite).sort(1)  # the places of `above` first, in rising order
    sums = ordered.where(ordered < torch.inf, torch.zeros_like(ordered)).cumsum(1)
    lower = torch.searchsorted(ordered.detach(), maps.detach())  # how many of `above` are lower than each place
    below_sum = torch.cat([sums.new_zeros(len(sums), 1), sums], 1).gather(1, lower)
    return ((lower * maps - below_sum) * below).sum(1)
