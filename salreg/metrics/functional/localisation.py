"""The share of a saliency map on the marks, sample by sample."""

import numpy as np
import torch
from torch import Tensor

from salreg.annotations import align, as_places, marks


def spurious_saliency(saliency: Tensor, annotation: Tensor) -> Tensor:
    """The share of a map's absolute saliency on the spurious marks.

    Args:
        saliency: ``(B, ...)``; the absolute values of channels are summed.
        annotation: On the map's grid, one channel is enough.

    Returns:
        ``(B,)`` in ``[0, 1]``; NaN if the map is zero or not finite.

    Raises:
        ValueError: The annotation does not fit the maps.

    Example:
        >>> import torch
        >>> spurious_saliency(torch.tensor([[3.0, -1.0]]), torch.tensor([[0, -1]])).item()
        0.25
    """
    weight = marks(align(annotation, saliency)).spurious
    return _share(saliency.abs(), weight)


def relevant_saliency(saliency: Tensor, annotation: Tensor) -> Tensor:
    """The share of a map's positive saliency on the relevant marks: the energy pointing game (Wang et al. 2020).

    Args:
        saliency: ``(B, ...)``; channels are summed before the positive part is taken.
        annotation: On the map's grid, one channel is enough.

    Returns:
        ``(B,)`` in ``[0, 1]``; NaN if the map has no positive saliency or is not finite.

    Raises:
        ValueError: The annotation does not fit the maps.

    Example:
        >>> import torch
        >>> relevant_saliency(torch.tensor([[3.0, 1.0, -4.0]]), torch.tensor([[1, 0, 0]])).item()
        0.75
    """
    places, relevant = _places(saliency, annotation)
    return _share(places.clamp(min=0), relevant)


def pointing_game(saliency: Tensor, annotation: Tensor) -> Tensor:
    """Whether the place of the largest saliency is marked relevant (Zhang et al. 2018, without its tolerance of 15 pixels).

    Args:
        saliency: ``(B, ...)``; channels are summed.
        annotation: On the map's grid, one channel is enough. Soft marks count as marked.

    Returns:
        ``(B,)``, 0 or 1; NaN if nothing is marked relevant, or the map is flat or not finite. If several maxima are equal, the
        first counts.

    Raises:
        ValueError: The annotation does not fit the maps.

    Example:
        >>> pointing_game(torch.tensor([[3.0, 1.0], [1.0, 3.0]]), torch.tensor([[1, 0], [1, 0]])).tolist()
        [1.0, 0.0]
    """
    places, relevant = _places(saliency, annotation)
    hit = relevant.gather(1, places.argmax(1, keepdim=True)).squeeze(1) > 0
    return _defined(hit.to(places.dtype), places, relevant)


def relevance_rank(saliency: Tensor, annotation: Tensor) -> Tensor:
    """The share of relevant places among the K places of largest saliency, K being the number of relevant places (Arras et
    al. 2022).

    Args:
        saliency: ``(B, ...)``; channels are summed.
        annotation: On the map's grid, one channel is enough. Soft marks count as marked.

    Returns:
        ``(B,)`` in ``[0, 1]``; NaN if nothing is marked relevant, or the map is flat or not finite. If several places tie for
        the K-th value, they fill the remaining ranks in proportion, relevant or not.

    Raises:
        ValueError: The annotation does not fit the maps.

    Example:
        >>> relevance_rank(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([[1, 1, 0]])).item()
        0.5
    """
    places, relevant = _places(saliency, annotation)
    relevant = relevant > 0
    count = relevant.sum(1, keepdim=True)
    last = _ascending(places.detach()).gather(1, (places.shape[1] - count).clamp(max=places.shape[1] - 1))
    above, tied = places > last, places == last
    free = count - above.sum(1, keepdim=True)  # of the K first places, for those that share the K-th value
    of_tied = free * (tied & relevant).sum(1, keepdim=True) / tied.sum(1, keepdim=True).clamp(min=1)
    found = (above & relevant).sum(1, keepdim=True) + of_tied
    return _defined((found / count.clamp(min=1)).squeeze(1).to(places.dtype), places, relevant)


def _ascending(places: Tensor) -> Tensor:
    # On a CPU, NumPy's sort is some fifty times faster than PyTorch's.
    if places.device.type == "cpu" and places.dtype in (torch.float32, torch.float64):
        return torch.from_numpy(np.sort(places.numpy(), axis=1))
    return places.sort(1).values


def _places(saliency: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
    """Saliency and relevant marks, one per place: both ``(B, P)``."""
    saliency, annotation = as_places(saliency, align(annotation, saliency))
    relevant = marks(annotation).relevant
    if saliency.ndim > 2:
        saliency, relevant = saliency.sum(1), relevant[:, 0]
    return saliency.flatten(1), relevant.flatten(1)


def _defined(value: Tensor, places: Tensor, relevant: Tensor) -> Tensor:
    """NaN for samples with nothing to find, or a map that finds nothing."""
    extent = places.amax(1) - places.amin(1)
    defined = (relevant.amax(1) > 0) & extent.isfinite() & (extent > 0)
    return value.where(defined, torch.full_like(value, torch.nan))


def _share(mass: Tensor, weight: Tensor) -> Tensor:
    """0/0, and so NaN, where there is no mass."""
    return (mass * weight).flatten(1).sum(1) / mass.flatten(1).sum(1)
