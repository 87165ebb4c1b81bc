"""Batches of dictionaries as tokenizers and language models have them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from salreg.data import AnnotatedDataset, Collate
from salreg.recipes.data.loading import loader

#: The label of a token of which nothing is asked.
NO_LABEL = -100


class TokenSamples(Dataset[dict[str, Any]]):
    """Samples as a language model takes them: dictionaries of tensors ``(T,)`` and numbers.

    Args:
        vocabulary: The tokens by number, which snapshots draw.

    Attributes:
        rows: The samples.
        annotations: Of each sample's tokens; None where nobody looked.
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
        """The samples with what is marked on them."""
        return AnnotatedDataset(self, self.annotations)


class Padded:
    """Puts samples into one batch, padded behind the texts: ``labels`` by -100, masks by 0, all else by the padding token.

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
