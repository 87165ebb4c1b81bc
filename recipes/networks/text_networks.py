"""Small networks that read token numbers, 0 being padding."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from salreg.recipes.data.texts import PADDING


class LSTMReader(nn.Module):
    """Both directions' states, averaged over the words.

    Args:
        words: How many words the vocabulary has.
        classes: How many classes there are.
        size: Of the embedding and of each direction's state.
        dropout: On the embedded words and on the mean.
    """

    def __init__(self, words: int, classes: int = 2, size: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, size, padding_idx=PADDING)
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(size, size, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * size, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.lstm(self.dropout(self.embedding(tokens)))
        return self.head(self.dropout(mean_of_words(states, tokens)))


class TransformerReader(nn.Module):
    """An encoder with learned positions, averaged over the words.

    Args:
        words: How many words the vocabulary has.
        classes: How many classes there are.
        size: Of the embedding.
        layers: How many.
        longest: Of the texts; what is behind is not read.
        dropout: In all places.
    """

    def __init__(
        self, words: int, classes: int = 2, size: int = 64, layers: int = 2, longest: int = 512, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, size, padding_idx=PADDING)
        self.positions = nn.Parameter(0.02 * torch.randn(longest, size))
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(size, 4, 2 * size, dropout, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(size)
        self.head = nn.Linear(size, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        embedded = self.embedding(tokens) + self.positions[: tokens.shape[1]]
        states = self.encoder(self.dropout(embedded), src_key_padding_mask=tokens == PADDING)
        return self.head(mean_of_words(self.norm(states), tokens))


class AttentionReader(nn.Module):
    """Three words at a time, averaged over the text by learned weights: it may read a few places only.

    Args:
        words: How many words the vocabulary has.
        classes: How many classes there are.
        size: Of the embedding.
        dropout: On the embedded words and on the mean.
    """

    def __init__(self, words: int, classes: int = 2, size: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, size, padding_idx=PADDING)
        self.dropout = nn.Dropout(dropout)
        self.convolution = nn.Conv1d(size, size, 3, padding=1)
        self.weight = nn.Linear(size, 1)
        self.head = nn.Linear(size, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        embedded = self.dropout(self.embedding(tokens))
        states = gelu(self.convolution(embedded.transpose(1, 2))).transpose(1, 2)
        weights = self.weight(states).masked_fill((tokens == PADDING).unsqueeze(-1), -torch.inf).softmax(1)
        return self.head(self.dropout((weights * states).sum(1)))


def mean_of_words(states: Tensor, tokens: Tensor) -> Tensor:
    """The mean of ``(B, T, E)`` over the places of ``(B, T)`` that are no padding."""
    words = (tokens != PADDING).unsqueeze(-1)
    return (states * words).sum(1) / words.sum(1).clamp(min=1)


def build(name: str, words: int, classes: int = 2) -> nn.Module:
    """``lstm``, ``transformer`` or ``attention``.

    Raises:
        ValueError: Another name.
    """
    kinds = {"lstm": LSTMReader, "transformer": TransformerReader, "attention": AttentionReader}
    if name not in kinds:
        raise ValueError(f"model.name must be {', '.join(kinds)}, not {name!r}.")
    network: nn.Module = kinds[name](words, classes)
    return network
