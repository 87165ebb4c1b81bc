"""From whatever a model puts out to classes."""

from torch import Tensor


def predicted_classes(predictions: Tensor) -> Tensor:
    """Classes ``(B,)`` from classes, logits ``(B, C)``, or one logit per sample, ``(B,)`` or ``(B, 1)``.

    Example:
        >>> import torch
        >>> predicted_classes(torch.tensor([[-0.3], [2.0]])).tolist()
        [0, 1]
    """
    if predictions.ndim == 2 and predictions.shape[1] > 1:
        return predictions.argmax(1)
    predictions = predictions.flatten()
    return (predictions > 0).long() if predictions.is_floating_point() else predictions
