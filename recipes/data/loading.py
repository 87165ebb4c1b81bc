"""Turns datasets into batches, the same way in every recipe."""

from collections.abc import Callable
from typing import Any

from torch.utils.data import DataLoader, Dataset

from salreg.data import AnnotatedSample


def loader(
    dataset: Dataset[AnnotatedSample], data: Any, *, shuffle: bool = False, collate: Callable[..., Any] | None = None
) -> DataLoader[Any]:
    """Batches of a recipe's annotated samples.

    Args:
        dataset: An ``AnnotatedDataset``, or one that moves its marks with its samples.
        data: The configuration's ``data``: ``batch_size`` and ``workers``.
        shuffle: Whether to shuffle the samples in each epoch.
        collate: Turns samples into a batch; by default PyTorch's own function.
    """
    return DataLoader(dataset, data.batch_size, shuffle=shuffle, num_workers=data.workers, collate_fn=collate)
