"""Do the most salient places agree with a person's rationale, and does the model depend on them?

ERASER's metrics (DeYoung et al. 2020, "ERASER: A Benchmark to Evaluate Rationalized NLP Models", section 4), for texts and any
other input.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from salreg import checks
from salreg.annotations import align, as_places, marks, places
from salreg.metrics.functional.predictions import probabilities

#: The shares of the places that are taken away, or kept, one after the other; ERASER's.
SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)

Predict = Callable[[Tensor], Tensor]


def rationale_f1(saliency: Tensor, annotation: Tensor, share: float | None = None) -> Tensor:
    """F1 score of the most salient places as a prediction of the relevant ones.

    Args:
        saliency: ``(B, ...)``; the absolute values of channels are summed.
        annotation: On the map's grid, one channel is enough. Soft marks count as marked.
        share: The share of places that count as predicted, in (0, 1]; by default as many as are marked, so that precision,
            recall and F1 are equal.

    Returns:
        ``(B,)`` in ``[0, 1]``; NaN if nothing is marked relevant, or the map is flat.

    Raises:
        ValueError: The annotation does not fit the maps, or the share is out of range.

    Example:
        >>> rationale_f1(torch.tensor([[3.0, 1.0, 2.0, 0.0]]), torch.tensor([[1, 1, 0, 0]])).item()
        0.5
    """
    checks.number("(0, 1]", or_none=True, share=share)
    saliency, annotation = as_places(saliency, align(annotation, saliency))
    strength, inside = _strengths(saliency, annotation)
    relevant = _one_per_place(marks(annotation).relevant) > 0
    count = relevant.sum(1) if share is None else _portion(inside, share)
    predicted = _most_salient(strength, inside, count)
    value = 2 * (predicted & relevant).sum(1) / (predicted.sum(1) + relevant.sum(1)).clamp(min=1)
    extent = strength.amax(1) - strength.where(inside, strength.amax(1, keepdim=True)).amin(1)
    defined = relevant.any(1) & extent.isfinite() & (extent > 0)
    return value.where(defined, torch.full_like(value, torch.nan))


def comprehensiveness(
    predict: Predict, inputs: Tensor, saliency: Tensor, annotation: Tensor | None = None, shares: Sequence[float] = SHARES
) -> Tensor:
    r"""The drop of the predicted class's probability without the most salient places (higher is better).

    .. math:: \tfrac{1}{|S|} \sum_{s \in S} p_c(x) - p_c(x \setminus r_s)

    with c the predicted class and r_s the share s of places with the largest absolute saliency. Removed places are replaced by
    the mean of the batch's inputs, channel by channel.

    Args:
        predict: A function from inputs to logits ``(B, C)``.
        inputs: ``(B, ...)``; for texts, embedded tokens ``(B, E, T)``.
        saliency: On the inputs' grid; any number of channels.
        annotation: For texts, ``(B, T)``: shows the padding, which is neither replaced nor counted.
        shares: The shares S.

    Returns:
        ``(B,)`` in ``[-1, 1]``.

    Raises:
        ValueError: The maps and the inputs have different places.

    Example:
        >>> x = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
        >>> comprehensiveness(lambda x: x, x, saliency=x, shares=[0.5])[0].item()
        0.10121673345565796
    """
    return _change(predict, inputs, saliency, annotation, shares, keep=False)


def sufficiency(
    predict: Predict, inputs: Tensor, saliency: Tensor, annotation: Tensor | None = None, shares: Sequence[float] = SHARES
) -> Tensor:
    r"""The drop of the predicted class's probability when only the most salient places are left (lower is better).

    .. math:: \tfrac{1}{|S|} \sum_{s \in S} p_c(x) - p_c(r_s)

    Arguments, result and errors are as for ``comprehensiveness``.

    Example:
        >>> x = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
        >>> sufficiency(lambda x: x, x, saliency=x, shares=[1.0])[0].item()
        0.0
    """
    return _change(predict, inputs, saliency, annotation, shares, keep=True)


def check_shares(shares: Sequence[float]) -> None:
    """At least one, each in (0, 1]."""
    checks.several("numbers", shares=shares)
    if not shares:
        raise ValueError("shares must be a list of at least one number.")
    for share in shares:
        checks.number("(0, 1]", shares=share)


def _change(
    predict: Predict, inputs: Tensor, saliency: Tensor, annotation: Tensor | None, shares: Sequence[float], keep: bool
) -> Tensor:
    check_shares(shares)
    strength, inside = _strengths(saliency, inputs.new_zeros(inputs[:, :1].shape) if annotation is None else annotation)
    grid = inputs[:, :1].shape if inputs.ndim > 2 else inputs.shape
    if strength.shape[1] != inputs[0].numel() // (inputs.shape[1] if inputs.ndim > 2 else 1):
        raise ValueError(
            f"Maps of shape {tuple(saliency.shape)} do not have the places of inputs of shape {tuple(inputs.shape)}."
        )
    there = inside.view(grid).expand_as(inputs)
    axes = [axis for axis in range(inputs.ndim) if axis != 1]
    fill = (inputs * there).sum(axes, keepdim=True) / there.sum(axes, keepdim=True).clamp(min=1)
    with torch.no_grad():
        before = probabilities(predict(inputs))
        predicted = before.argmax(1, keepdim=True)
        lost = []
        for share in shares:
            chosen = _most_salient(strength, inside, _portion(inside, share))
            replaced = (inside & ~chosen if keep else chosen).view(grid)
            after = probabilities(predict(torch.where(replaced, fill, inputs)))
            lost.append((before - after).gather(1, predicted).squeeze(1))
    return torch.stack(lost).mean(0)


def _strengths(saliency: Tensor, annotation: Tensor) -> tuple[Tensor, Tensor]:
    """The saliency of each place, and whether it is one: both ``(B, P)``."""
    strength = (saliency.abs().sum(1) if saliency.ndim > 2 else saliency.abs()).flatten(1)
    inside = places(_one_per_place(annotation.to(saliency.device)))
    return strength, inside.expand_as(strength) if inside.shape[1] == 1 else inside


def _one_per_place(annotation: Tensor) -> Tensor:
    return (annotation[:, 0] if annotation.ndim > 2 else annotation).flatten(1)


def _portion(inside: Tensor, share: float) -> Tensor:
    return (inside.sum(1) * share).ceil().long()


def _most_salient(strength: Tensor, inside: Tensor, count: Tensor) -> Tensor:
    """The ``count`` ``(B,)`` places of largest saliency: ``(B, P)`` booleans."""
    order = strength.masked_fill(~inside, -torch.inf).argsort(1, descending=True)
    return (order.argsort(1) < count.unsqueeze(1)) & inside
