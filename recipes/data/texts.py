"""Texts as token numbers: a vocabulary, a dataset and its batches."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from salreg.data import AnnotatedDataset, Collate
from salreg.recipes.data.loading import loader

PADDING, UNKNOWN = 0, 1


class Vocabulary:
    """Words by number; 0 is padding, 1 any other word.

    Args:
        texts: Word by word.
        least: How often a word has to occur.

    Attributes:
        start: The word in front of a pair of texts.
        between: The word behind each text of a pair.

    Example:
        >>> Vocabulary([["a", "film"], ["a"]], least=2).encode(["a", "film"]).tolist()
        [2, 1]
    """

    start, between = "<start>", "<between>"

    def __init__(self, texts: Iterable[Sequence[str]], least: int = 1) -> None:
        counts = Counter(word for text in texts for word in text)
        chosen = [word for word, count in counts.most_common() if count >= least]
        self.words = ["<pad>", "<unknown>", *chosen]
        self._numbers = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def pieces(self, words: Sequence[str]) -> list[list[int]]:
        """The numbers of each word: here one."""
        return [[self._numbers.get(word, UNKNOWN)] for word in words]

    def encode(self, words: Sequence[str]) -> Tensor:
        """The numbers of a text's words ``(T,)``."""
        return torch.tensor([number for piece in self.pieces(words) for number in piece], dtype=torch.long)

    def marks(self, words: Sequence[str], annotation: Tensor) -> Tensor:
        """A map of words as one of the numbers that ``encode`` gives."""
        return annotation


class Texts(Dataset[tuple[Tensor, int, int]]):
    """Samples ``(token numbers, label, group)``.

    Args:
        texts: Word by word.
        labels: One each.
        groups: One each.
        vocabulary: Numbers the words.
        classes: What the labels are called.

    Attributes:
        vocabulary: The words by number, which snapshots draw.
        words: The texts, word by word.
    """

    def __init__(
        self,
        texts: Sequence[Sequence[str]],
        labels: Sequence[int],
        groups: Sequence[int],
        vocabulary: Vocabulary,
        classes: Sequence[str],
    ) -> None:
        self.words = [list(text) for text in texts]
        self.texts = [vocabulary.encode(text) for text in texts]
        self.labels, self.groups = list(labels), list(groups)
        self.vocabulary = vocabulary.words
        self.classes = list(classes)

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        return self.texts[index], self.labels[index], self.groups[index]


def encoder(vocabulary: Sequence[str]) -> Callable[[Sequence[str]], tuple[Tensor, Tensor]]:
    """What turns texts into token numbers ``(B, T)`` and the characters of each word, start and end, ``(B, T, 2)``.

    Words are what stands between spaces; those that the vocabulary has in lower case only are read so.

    Example:
        >>> encode = encoder(["<pad>", "<unknown>", "a", "film"])
        >>> encode(["A film", "a"])[0].tolist()
        [[2, 3], [2, 0]]
    """
    numbers = {word: number for number, word in enumerate(vocabulary)}

    def encode(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        tokens, offsets = [], []
        for text in texts:
            found = list(re.finditer(r"\S+", text))
            words = [one.group() for one in found]
            tokens.append(torch.tensor([numbers.get(one, numbers.get(one.lower(), UNKNOWN)) for one in words] or [UNKNOWN]))
            offsets.append(torch.tensor([one.span() for one in found] or [(0, 0)]))
        return pad_sequence(tokens, batch_first=True, padding_value=PADDING), pad_sequence(offsets, batch_first=True)

    return encode


def text_loader(dataset: AnnotatedDataset, data: Any, *, shuffle: bool = False) -> DataLoader[Any]:
    """Batches ``(token numbers (B, T), labels, groups)``, padded behind the texts, with their annotations ``(B, T)``."""
    return loader(dataset, data, shuffle=shuffle, collate=Collate(_padded))


def _padded(samples: Sequence[tuple[Tensor, int, int]]) -> tuple[Tensor, Tensor, Tensor]:
    texts, labels, groups = zip(*samples, strict=True)
    return pad_sequence(list(texts), batch_first=True, padding_value=PADDING), torch.tensor(labels), torch.tensor(groups)
