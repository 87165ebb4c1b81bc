"""Losses that pull a map towards the relevant marks. Places that are not marked relevant should carry no saliency."""

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, huber_loss, log_softmax

from salreg import checks
from salreg.annotations import is_annotated, marks, places
from salreg.distributed import sum_over_ranks
from salreg.losses.base import AttributionLoss, PerSample, per_place, split
from salreg.losses.normalization import NORMALIZATIONS, Normalization, normalize


class Supervised(AttributionLoss):
    """The base of the losses that pull a map towards the relevant marks.

    Args:
        normalize: How the map is scaled to the marks' range [0, 1] (``salreg.losses.normalization``). Channels are summed
            first. A map without a scale to normalise by is undefined.
    """

    needed_marks = "relevant"

    def __init__(self, normalize: Normalization = "max") -> None:
        checks.choice(NORMALIZATIONS, normalize=normalize)
        self.normalize = normalize

    @abstractmethod
    def compare(self, maps: Tensor, relevant: Tensor, inside: Tensor) -> Tensor:
        """The loss of each sample ``(B,)``, from normalised maps, marks in [0, 1] and booleans that are False for padding, all
        ``(B, P)``."""

    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        relevant = relevant_places(saliency, annotation)
        maps, defined = normalize(per_place(saliency), self.normalize)
        return split(self.compare(maps, relevant, there(annotation)), is_annotated(relevant), defined)


class MeanSquaredError(Supervised):
    r"""Mean squared difference between the normalised map and the relevant marks.

    .. math:: L_i = \tfrac{1}{P} \sum_d (\hat M_{id} - R_{id})^2

    With ``normalize="min_max"`` and Grad-CAM it is HINT's simplified form (XIL); with ``"sigmoid"`` it is ER-Test's MSE.

    Example:
        >>> MeanSquaredError()(torch.tensor([[2.0, 1.0]]), torch.tensor([[1.0, 0.0]])).item()
        0.125
    """

    def compare(self, maps: Tensor, relevant: Tensor, inside: Tensor) -> Tensor:
        return mean_of((maps - relevant).square(), inside)


class MeanAbsoluteError(Supervised):
    r"""Mean absolute difference between the normalised map and the relevant marks (GRADIA, Gao et al. 2022).

    .. math:: L_i = \tfrac{1}{P} \sum_d |\hat M_{id} - R_{id}|

    Example:
        >>> MeanAbsoluteError()(torch.tensor([[2.0, 1.0]]), torch.tensor([[1.0, 0.0]])).item()
        0.25
    """

    def compare(self, maps: Tensor, relevant: Tensor, inside: Tensor) -> Tensor:
        return mean_of((maps - relevant).abs(), inside)


class HuberLoss(Supervised):
    """Mean Huber loss (delta 1) between the normalised map and the relevant marks (ER-Test, Joshi et al. 2022).

    Example:
        >>> HuberLoss()(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])).item()
        0.125
    """

    def __init__(self, normalize: Normalization = "sigmoid") -> None:
        super().__init__(normalize)

    def compare(self, maps: Tensor, relevant: Tensor, inside: Tensor) -> Tensor:
        return mean_of(huber_loss(maps, relevant, reduction="none"), inside)


class PointwiseCrossEntropy(Supervised):
    r"""Cross-entropy of the normalised map on the relevant marks alone: PPCE (Shen et al. 2021, HAICS; Rao et al. 2023).

    .. math:: L_i = - \frac{\sum_d R_{id} \log \hat M_{id}}{\sum_d R_{id}}

    It ignores the places outside the marks. Logarithms are clamped at -100, as in ``torch.nn.BCELoss``, and have no gradient
    below.

    Example:
        >>> PointwiseCrossEntropy()(torch.tensor([[2.0, 1.0]]), torch.tensor([[0.0, 1.0]])).item()
        0.6931471824645996
    """

    def compare(self, maps: Tensor, relevant: Tensor, inside: Tensor) -> Tensor:
        logarithm = maps.clamp(min=torch.finfo(maps.dtype).tiny).log().clamp(min=-100)
        return -(relevant * logarithm).sum(1) / relevant.sum(1).clamp(min=torch.finfo(maps.dtype).tiny)


class BinaryCrossEntropy(AttributionLoss):
    r"""Cross-entropy of the raw map, read as logits, with the relevant marks (ER-Test, Joshi et al. 2022).

    .. math:: L_i = -\tfrac{1}{P} \sum_d \big[ w R_{id} \log \sigma(M_{id}) + (1 - R_{id}) \log (1 - \sigma(M_{id})) \big]

    The weight of relevant places is w = (places that are not relevant) / (places that are), over the batch's annotated samples,
    so that both sides count alike.

    Example:
        >>> BinaryCrossEntropy()(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])).item()
        0.6931471824645996
    """

    needed_marks = "relevant"

    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        relevant, maps = relevant_places(saliency, annotation), per_place(saliency)
        scored = is_annotated(relevant)
        marked = sum_over_ranks(relevant[scored].sum()).clamp(min=1)
        inside = there(annotation)
        weight = (sum_over_ranks(inside[scored].sum()) - marked) / marked
        value = mean_of(binary_cross_entropy_with_logits(maps, relevant, pos_weight=weight, reduction="none"), inside)
        return PerSample(value, scored, torch.zeros_like(scored))


class KullbackLeibler(AttributionLoss):
    r"""KL divergence of the map from the relevant marks, both as distributions over the places (ER-Test, Joshi et al. 2022).

    .. math:: L_i = \sum_d r_d \log \frac{r_d}{q_d}, \qquad r = R_i / \sum_d R_{id}, \quad q = \mathrm{softmax}(M_i)

    Example:
        >>> KullbackLeibler()(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])).item()
        0.6931471824645996
    """

    needed_marks = "relevant"

    def per_sample(self, saliency: Tensor, annotation: Tensor) -> PerSample:
        relevant = relevant_places(saliency, annotation)
        wanted = relevant / relevant.sum(1, keepdim=True).clamp(min=torch.finfo(relevant.dtype).tiny)
        maps = per_place(saliency).masked_fill(~there(annotation), torch.finfo(saliency.dtype).min)
        value = (torch.xlogy(wanted, wanted) - wanted * log_softmax(maps, dim=1)).sum(1)
        scored = is_annotated(relevant)
        return PerSample(value, scored, torch.zeros_like(scored))


def relevant_places(saliency: Tensor, annotation: Tensor) -> Tensor:
    """The relevant marks as ``(B, P)`` in the map's type, one per place."""
    one_channel = annotation[:, :1] if saliency.ndim > 2 else annotation
    return marks(one_channel).relevant.flatten(1).to(saliency.dtype)


def there(annotation: Tensor) -> Tensor:
    """Which places are not padding: ``(B, P)`` booleans, one per place."""
    one_channel = annotation[:, :1] if annotation.ndim > 2 else annotation
    return places(one_channel).flatten(1)


def mean_of(values: Tensor, inside: Tensor) -> Tensor:
    """The mean of ``(B, P)`` over the places that are not padding: ``(B,)``."""
    return (values * inside).sum(1) / inside.sum(1).clamp(min=1)
