"""Batches of dictionaries, as tokenizers and language models use them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from salreg.data import AnnotatedDataset, Collate
from salreg.recipes.data.loading import loader

#: The label of a token that the loss ignores.
NO_LABEL = -100


class TokenSamples(Dataset[dict[str, Any]]):
    """Samples for a language model: dictionaries of tensors ``(T,)`` and numbers.

    Args:
        vocabulary: The tokens by number; snapshots show them.

    Attributes:
        rows: The samples.
        annotations: The annotation of each sample's tokens; None if nobody looked.
    """

    def __init__(self, vocabulary: list[str]) -> None:
        self.vocabulary = vocabulary
        self.rows: list[dict[str, Any]] = []
        self.annotations: list[Tensor | None] = []

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[index]

    def annotated(self) -> AnnotatedDataset:
        """The samples with their annotations."""
        return AnnotatedDataset(self, self.annotations)


class Padded:
    """Collates samples into a batch, padded at the end: ``labels`` with -100, masks with 0, everything else with ``padding``.

    Args:
        padding: The number of the padding token.
    """

    def __init__(self, padding: int) -> None:
        self.padding = padding

    def __call__(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {key: self._column(key, [one[key] for one in samples]) for key in samples[0]}

    def _column(self, key: str, values: list[Any]) -> Any:
        if not isinstance(values[0], torch.Tensor):
            return torch.tensor(values)
        if not values[0].ndim:
            return torch.stack(values)
        filler = NO_LABEL if key == "labels" else 0 if key in ("attention_mask", "token_type_ids") else self.padding
        return pad_sequence(values, batch_first=True, padding_value=filler)


def token_loader(dataset: AnnotatedDataset, data: Any, padding: int, *, shuffle: bool = False) -> DataLoader[Any]:
    """Batches of a dataset whose samples are dictionaries of tensors ``(T,)`` and numbers, with their annotations."""
    return loader(dataset, data, shuffle=shuffle, collate=Collate(Padded(padding)))
