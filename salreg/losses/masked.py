"""Losses on the saliency of the marked places themselves."""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from salreg import checks
from salreg.annotations import is_annotated, marks
from salreg.losses.base import AttributionLoss, PerSample, misplaced, split
from salreg.losses.normalization import NORMALIZATIONS, Normalization, normalize


class RightForRightReasons(AttributionLoss):
    r"""Sum of squares of the saliency on the spurious marks (Ross et al. 2017, eq. 1, second term).

    .. math:: L_i = \sum_d (A_{id} M_{id})^2

    with A the spurious marks in ``[0, 1]``. The mean runs over the samples that carry a spurious mark.

    Args:
        normalize: ``none``, or how the map is first scaled to [0, 1] (``salreg.losses.normalization``): ``min_max`` as in RRR-G
            (Schramowski et al. 2020). A normalised penalty ignores the map's overall scale, and a map without a scale is
            undefined.

    Example:
        >>> RightForRightReasons()(torch.tensor([[3.0, 5.0]]), torch.tensor([[-1.0, 0.0]])).item()
        9.0
    """

    def __init__(self, normalize: Normalization = "none") -> None:
        checks.choice(NORMALIZATIONS, normalize=normalize)
        self.normalize = normalize

    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        spurious = annotation.clamp(max=0)  # the sign is squared away
        defined = torch.ones(len(saliency), dtype=torch.bool, device=saliency.device)
        if self.normalize != "none":
            flat, defined = normalize(saliency.flatten(1), self.normalize)
            saliency = flat.view_as(saliency)
        weighted = (spurious * saliency).flatten(1)
        # x * x rather than x.square(), whose derivative costs three more passes over the map
        return split((weighted * weighted).sum(1), is_annotated(spurious), defined)


class MaskedL1(AttributionLoss):
    r"""Sum of the absolute saliency where it should not be.

    .. math:: L_i = \sum_d b_{id} |M_{id}|, \qquad
              b = \begin{cases} 1 - R & \text{where the sample has relevant marks } R \\ A & \text{otherwise}\end{cases}

    With relevant marks it is the loss of GradMask (Simpson et al. 2019) and the "outside" loss of GALS (Petryk et al. 2022);
    with spurious marks A it is the L1 form of "right for the right reasons". Soft marks act as weights.

    Example:
        >>> MaskedL1()(torch.tensor([[3.0, -5.0]]), torch.tensor([[1.0, 0.0]])).item()
        5.0
    """

    needed_marks = "either"

    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        scored = is_annotated(annotation)
        return PerSample((misplaced(annotation) * saliency).abs().flatten(1).sum(1), scored, torch.zeros_like(scored))


class CosineLoss(AttributionLoss):
    r"""Cosine of the angle between the absolute map and the spurious marks (Dreyer et al. 2023, ``rrclarc``).

    .. math:: L_i = \frac{\sum_d A_{id} |\sum_c M_{icd}|}{\lVert A_i \rVert \, \lVert \sum_c M_{ic} \rVert}

    It is in ``[0, 1]`` and ignores the map's scale; a map of zeros is undefined.

    Example:
        >>> CosineLoss()(torch.tensor([[3.0, 4.0]]), torch.tensor([[-1.0, 0.0]])).item()
        0.6000000238418579
    """

    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        if saliency.ndim > 2:
            saliency, annotation = saliency.sum(1, keepdim=True), annotation[:, :1]
        places, spurious = saliency.abs().flatten(1), marks(annotation).spurious.flatten(1)
        return split(cosine_similarity(places, spurious, dim=1), is_annotated(spurious), places.amax(1) > 0)
