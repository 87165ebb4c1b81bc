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
    """Numbers for words; 0 is padding, 1 is any other word.

    Args:
        texts: The texts as lists of words.
        least: The number of times that a word has to occur.

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
        return self.numbered(words)[0]

    def numbered(self, words: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The numbers of words ``(T,)``, and how many each word has ``(len(words),)``."""
        pieces = self.pieces(words)
        numbers = torch.tensor([number for piece in pieces for number in piece], dtype=torch.long)
        return numbers, torch.tensor([len(piece) for piece in pieces])

    def marks(self, words: Sequence[str], annotation: Tensor) -> Tensor:
        """An annotation of words as one of the numbers that ``encode`` returns."""
        return annotation


class Texts(Dataset[tuple[Tensor, int, int]]):
    """Samples ``(token numbers, label, group)``.

    Args:
        texts: The texts as lists of words.
        labels: One label per text.
        groups: One group per text.
        vocabulary: The vocabulary that numbers the words.
        classes: The names of the labels.

    Attributes:
        vocabulary: The words by number; snapshots show them.
        words: The texts as lists of words.
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
    """A function from texts to token numbers ``(B, T)`` and the start and end of each word in characters ``(B, T, 2)``.

    Words are separated by spaces; a word that the vocabulary has only in lower case is read in lower case.

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
    """Batches ``(token numbers (B, T), labels, groups)``, padded at the end of the texts, with annotations ``(B, T)``."""
    return loader(dataset, data, shuffle=shuffle, collate=Collate(_padded))


def _padded(samples: Sequence[tuple[Tensor, int, int]]) -> tuple[Tensor, Tensor, Tensor]:
    texts, labels, groups = zip(*samples, strict=True)
    return pad_sequence(list(texts), batch_first=True, padding_value=PADDING), torch.tensor(labels), torch.tensor(groups)
