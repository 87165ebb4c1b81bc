"""Accuracy by group."""

import torch
from torch import Tensor

from salreg.metrics.functional.predictions import predicted_classes


def worst_group_accuracy(predictions: Tensor, target: Tensor, group: Tensor) -> Tensor:
    """The accuracy of the group that a model is worst on.

    Args:
        predictions: Classes ``(B,)`` or logits ``(B, C)``.
        target: True classes ``(B,)``.
        group: The group of each sample ``(B,)``, integers from 0; groups without a sample do not count.

    Returns:
        Scalar in ``[0, 1]``; NaN without samples.

    Example:
        >>> group, target = torch.tensor([0, 0, 1]), torch.tensor([1, 1, 1])
        >>> worst_group_accuracy(torch.tensor([1, 0, 1]), target, group).item()
        0.5
    """
    correct, total = group_counts(predictions, target, group, int(group.max()) + 1 if group.numel() else 1)
    return worst(correct, total)


def group_counts(predictions: Tensor, target: Tensor, group: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """The numbers of correct and of all samples in each group, both ``(groups,)``.

    Raises:
        ValueError: A group is outside ``0 ... groups - 1``, or the tensors differ in length.
    """
    predictions = predicted_classes(predictions)
    if not predictions.shape == target.shape == group.shape:
        raise ValueError(
            f"predictions {tuple(predictions.shape)}, target {tuple(target.shape)} and group {tuple(group.shape)} must "
            "have one entry per sample."
        )
    if group.numel() and not 0 <= int(group.min()) <= int(group.max()) < groups:
        raise ValueError(f"Groups go from 0 to {groups - 1}; found {int(group.min())} to {int(group.max())}.")
    correct = torch.zeros(groups, device=target.device).index_add_(0, group.long(), (predictions == target).float())
    return correct, torch.bincount(group.long(), minlength=groups).to(correct)


def worst(correct: Tensor, total: Tensor) -> Tensor:
    """The lowest ratio among groups that have samples; NaN if none has."""
    accuracy = (correct / total)[total > 0]
    return accuracy.min() if accuracy.numel() else correct.new_tensor(float("nan"))
