"""Whether the model depends on the places that the map points at."""

from collections.abc import Callable

import torch
from torch import Tensor

from salreg import checks
from salreg.metrics.functional.predictions import probabilities


def deletion_curve(
    predict: Callable[[Tensor], Tensor], inputs: Tensor, order: Tensor, steps: int = 10, insert: bool = False
) -> Tensor:
    """The probability of the predicted class while places of the input are replaced by the mean, most salient first.

    Petsiuk et al. 2018, "RISE", section 4.1. The mean is that of the inputs, channel by channel. A faithful map's curve falls
    early; with ``insert``, the input starts as the mean everywhere, places are put back, and a faithful map's curve rises
    early.

    Args:
        predict: A function from inputs ``(B, ...)`` to logits ``(B, C)``.
        inputs: ``(B, C, H, W)``, or ``(B, F)``.
        order: The saliency of the places ``(B, H, W)`` or ``(B, F)``; the highest go first.
        steps: The number of equal portions of the places.
        insert: Put places back instead of deleting them.

    Returns:
        ``(steps + 1, B)`` in [0, 1], from no place changed to all changed.

    Raises:
        ValueError: The order does not have the shape of the places.

    Example:
        >>> x = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
        >>> deletion_curve(lambda x: x, x, order=x, steps=2)[:, 0].tolist()
        [0.9820137619972229, 0.8807970285415649, 0.5]
    """
    checks.whole(1, steps=steps)
    places = inputs[:, 0] if inputs.ndim > 2 else inputs
    if order.shape != places.shape:
        raise ValueError(f"The order has shape {tuple(order.shape)}, but the inputs have places {tuple(places.shape)}.")
    rank = order.flatten(1).argsort(1, descending=True).argsort(1).view(places.shape)
    rank = rank.unsqueeze(1) if inputs.ndim > 2 else rank
    axes = [axis for axis in range(inputs.ndim) if axis != 1]
    filled = inputs.mean(axes, keepdim=True).expand_as(inputs)
    count = places[0].numel()
    with torch.no_grad():
        predicted = probabilities(predict(inputs)).argmax(1)
        curve = []
        for step in range(steps + 1):
            first = rank < round(step / steps * count)
            changed = torch.where(first, inputs, filled) if insert else torch.where(first, filled, inputs)
            curve.append(probabilities(predict(changed)).gather(1, predicted.unsqueeze(1)).squeeze(1))
    return torch.stack(curve)


def area_under(curve: Tensor) -> Tensor:
    """The mean height of curves ``(steps + 1, B)``, ``(B,)``.

    Example:
        >>> area_under(torch.tensor([[1.0], [0.5], [0.0]])).item()
        0.5
    """
    return torch.trapezoid(curve, dim=0) / (len(curve) - 1)
