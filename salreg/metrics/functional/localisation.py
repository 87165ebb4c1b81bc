"""How much of a saliency map lies on the marks, sample by sample."""

from torch import Tensor

from salreg.annotations import align, marks


def spurious_saliency(saliency: Tensor, annotation: Tensor) -> Tensor:
    """The share of a map's absolute saliency on the spurious marks.

    Args:
        saliency: ``(B, ...)``; channels are added up by their absolute values.
        annotation: On the map's grid, one channel is enough.

    Returns:
        ``(B,)`` in ``[0, 1]``; NaN where the map is zero, or not finite.

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
        saliency: ``(B, ...)``; channels are added up before the positive part is taken.
        annotation: On the map's grid, one channel is enough.

    Returns:
        ``(B,)`` in ``[0, 1]``; NaN where the map has no positive saliency, or is not finite.

    Raises:
        ValueError: The annotation does not fit the maps.

    Example:
        >>> import torch
        >>> relevant_saliency(torch.tensor([[3.0, 1.0, -4.0]]), torch.tensor([[1, 0, 0]])).item()
        0.75
    """
    weight = marks(align(annotation, saliency)).relevant
    if saliency.ndim > 2:
        saliency, weight = saliency.sum(1, keepdim=True), weight[:, :1]
    return _share(saliency.clamp(min=0), weight)


def _share(mass: Tensor, weight: Tensor) -> Tensor:
    """0/0, and so NaN, where there is no mass."""
    return (mass * weight).flatten(1).sum(1) / mass.flatten(1).sum(1)
