"""Turns any model output into classes and their probabilities."""

import torch
from torch import Tensor

#: The class of a sample whose logits are NaN.
NO_CLASS = -1


def predicted_classes(predictions: Tensor) -> Tensor:
    """Classes ``(B,)`` from classes, logits ``(B, C)``, or one logit per sample, ``(B,)`` or ``(B, 1)``. Logits for every place
    ``(B, C, ...)`` give the class with the highest mean. Logits with NaN give ``NO_CLASS``.

    Example:
        >>> predicted_classes(torch.tensor([[-0.3], [2.0], [float("nan")]])).tolist()
        [0, 1, -1]
    """
    if predictions.ndim > 2:
        predictions = predictions.flatten(2).mean(2)
    if not predictions.is_floating_point():
        return predictions.argmax(1) if predictions.ndim == 2 and predictions.shape[1] > 1 else predictions.flatten()
    logits = predictions.reshape(len(predictions), -1)
    classes = logits.argmax(1) if logits.shape[1] > 1 else (logits.squeeze(1) > 0).long()
    return classes.masked_fill(logits.isnan().any(1), NO_CLASS)


def probabilities(logits: Tensor) -> Tensor:
    """The probability of each class ``(B, C)``, from logits ``(B, C)``. A single logit per sample is that of the second of two
    classes; logits of places ``(B, C, ...)`` give the mean probability.

    Example:
        >>> probabilities(torch.zeros(1)).tolist()
        [[0.5, 0.5]]
    """
    logits = logits.float().unsqueeze(1) if logits.ndim == 1 else logits.float()
    if logits.shape[1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], 1)  # whose softmax is the sigmoid
    probability = logits.softmax(1)
    return probability if probability.ndim == 2 else probability.flatten(2).mean(2)
