"""The one way from a dataset to batches."""

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
        shuffle: Whether to draw the samples in another order each epoch.
        collate: Makes a batch of samples; by default PyTorch's own.
    """
    return DataLoader(dataset, data.batch_size, shuffle=shuffle, num_workers=data.workers, collate_fn=collate)
