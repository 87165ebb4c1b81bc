"""How similar a map is to an earlier one, and how concentrated it is, sample by sample."""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity as angle
from torchmetrics.functional.image import structural_similarity_index_measure


def map_cosine(saliency: Tensor, other: Tensor) -> Tensor:
    """Cosine of the angle between two maps of each sample.

    Args:
        saliency: ``(B, ...)``; channels are summed.
        other: The other maps, of the same shape.

    Returns:
        ``(B,)`` in ``[-1, 1]``; NaN if a map is zero everywhere or not finite.

    Raises:
        ValueError: Maps of different shapes.

    Example:
        >>> map_cosine(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]])).item()
        0.7071067690849304
    """
    one, two = _pair(saliency, other)
    defined = (one.abs().amax(1) > 0) & (two.abs().amax(1) > 0)
    return _where(defined, angle(one, two, dim=1))


def map_rank_correlation(saliency: Tensor, other: Tensor) -> Tensor:
    """Spearman's correlation over the places of two maps of each sample; ties share their mean rank.

    Arguments and shapes are as for ``map_cosine``.

    Returns:
        ``(B,)`` in ``[-1, 1]``; NaN if a map is flat or not finite.

    Example:
        >>> map_rank_correlation(torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[1.0, 3.0, 4.0]])).item()
        1.0
    """
    one, two = _pair(saliency, other)
    defined = (one.amax(1) > one.amin(1)) & (two.amax(1) > two.amin(1))
    first, second = (ranks - ranks.mean(1, keepdim=True) for ranks in (_ranks(one), _ranks(two)))
    return _where(defined, angle(first, second, dim=1).to(one.dtype))


def map_ssim(saliency: Tensor, other: Tensor) -> Tensor:
    """Structural similarity of two image maps of each sample (Wang et al. 2004), over the range of both.

    Args:
        saliency: ``(B, C, H, W)``, at least 11 pixels a side; channels are summed.
        other: The other maps, of the same shape.

    Returns:
        ``(B,)`` in ``[-1, 1]``; NaN if both maps are flat, or one is not finite.

    Raises:
        ValueError: The maps are not images, or differ in shape.

    Example:
        >>> maps = torch.rand(2, 1, 16, 16)
        >>> map_ssim(maps, maps).tolist()
        [1.0, 1.0]
    """
    if saliency.ndim != 4:
        raise ValueError(f"Structural similarity needs images (B, C, H, W), not maps {tuple(saliency.shape)}.")
    one, two = _pair(saliency, other)
    low, high = torch.minimum(one.amin(1), two.amin(1)), torch.maximum(one.amax(1), two.amax(1))
    defined = (high > low) & (high - low).isfinite()
    scale = (high - low).where(defined, torch.ones_like(high)).unsqueeze(1)
    first, second = (((flat - low.unsqueeze(1)) / scale).view(-1, 1, *saliency.shape[2:]) for flat in (one, two))
    value = structural_similarity_index_measure(first, second, data_range=1.0, reduction="none")
    assert isinstance(value, Tensor)
    return _where(defined, value.view(-1))


def map_gini(saliency: Tensor) -> Tensor:
    """Gini coefficient of the absolute saliency: 0 if all places are equal, near 1 if one carries everything.

    Args:
        saliency: ``(B, ...)``; channels are summed.

    Returns:
        ``(B,)`` in ``[0, 1)``; NaN if the map is zero or not finite.

    Example:
        >>> map_gini(torch.tensor([[1.0, 0.0, 0.0, 0.0]])).item()
        0.75
    """
    ordered, _ = _places(saliency).abs().sort(1)
    count = ordered.shape[1]
    weight = 2 * torch.arange(1, count + 1, device=ordered.device, dtype=ordered.dtype) - count - 1
    total = ordered.sum(1)
    return _where(total > 0, (weight * ordered).sum(1) / (count * total))


def map_entropy(saliency: Tensor) -> Tensor:
    """Entropy of the absolute saliency as a distribution over the places, relative to that of a flat map.

    Args:
        saliency: ``(B, ...)``, at least two places; channels are summed.

    Returns:
        ``(B,)`` in ``[0, 1]``; NaN if the map is zero or not finite.

    Example:
        >>> map_entropy(torch.tensor([[1.0, 1.0]])).item()
        1.0
    """
    places = _places(saliency).abs()
    share = places / places.sum(1, keepdim=True)
    highest = torch.log(torch.tensor(float(places.shape[1])))
    return _where(places.amax(1) > 0, -torch.xlogy(share, share).sum(1) / highest.to(places))


def map_center(saliency: Tensor) -> Tensor:
    """Centre of mass of the absolute saliency, one coordinate per axis, from 0 (the first place) to 1 (the last).

    Args:
        saliency: ``(B, C, H, W)`` or ``(B, P)``; channels are summed.

    Returns:
        ``(B, 2)``, row and column, or ``(B, 1)``; NaN if the map is zero or not finite.

    Example:
        >>> map_center(torch.tensor([[0.0, 0.0, 1.0]])).tolist()
        [[1.0]]
    """
    mass = (saliency.sum(1) if saliency.ndim > 2 else saliency).abs()
    total = mass.flatten(1).sum(1)
    centers = []
    for axis in range(1, mass.ndim):
        place = torch.linspace(0, 1, mass.shape[axis], device=mass.device, dtype=mass.dtype)
        along = mass.movedim(axis, -1).flatten(1, -2).sum(1) if mass.ndim > 2 else mass
        centers.append(_where(total > 0, (along * place).sum(1) / total))
    return torch.stack(centers, 1)


def map_shift(saliency: Tensor, other: Tensor) -> Tensor:
    """Distance between two maps' centres of mass, as a share of the diagonal.

    Arguments and shapes are as for ``map_center``.

    Returns:
        ``(B,)`` in ``[0, 1]``; NaN if a map is zero or not finite.

    Example:
        >>> map_shift(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0]])).item()
        1.0
    """
    _pair(saliency, other)
    difference = map_center(saliency) - map_center(other)
    return difference.norm(dim=1) / difference.shape[1] ** 0.5


def _pair(saliency: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    if saliency.shape != other.shape:
        raise ValueError(f"Maps of shape {tuple(saliency.shape)} and {tuple(other.shape)} cannot be compared place by place.")
    return _places(saliency), _places(other)


def _places(saliency: Tensor) -> Tensor:
    return (saliency.sum(1) if saliency.ndim > 2 else saliency).flatten(1)


def _ranks(places: Tensor) -> Tensor:
    """Mean ranks ``(B, P)``, in double precision."""
    ordered, _ = places.sort(1)
    lower = torch.searchsorted(ordered, places, right=False)
    upper = torch.searchsorted(ordered, places, right=True)
    return (lower + upper).double() / 2


def _where(defined: Tensor, value: Tensor) -> Tensor:
    return value.where(defined, torch.full_like(value, torch.nan))
