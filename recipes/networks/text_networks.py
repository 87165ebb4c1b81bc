"""Small networks for token numbers, in which 0 is padding."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from salreg.recipes.data.texts import PADDING


class LSTMReader(nn.Module):
    """A bidirectional LSTM whose states are averaged over the words.

    Args:
        words: The size of the vocabulary.
        classes: The number of classes.
        size: The size of the embedding and of each direction's state.
        dropout: The dropout probability of the embedded words and of the mean.
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
    """A transformer encoder with learned positions, averaged over the words.

    Args:
        words: The size of the vocabulary.
        classes: The number of classes.
        size: The size of the embedding.
        layers: The number of layers.
        longest: The number of words read of a text; the rest is ignored.
        dropout: The dropout probability of all layers.
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
    """A convolution over three words, averaged over the text with learned weights, so it can focus on a few places.

    Args:
        words: The size of the vocabulary.
        classes: The number of classes.
        size: The size of the embedding.
        dropout: The dropout probability of the embedded words and of the mean.
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
    """The mean of ``(B, T, E)`` over the places of ``(B, T)`` that are not padding."""
    words = (tokens != PADDING).unsqueeze(-1)
    return (states * words).sum(1) / words.sum(1).clamp(min=1)


def build(name: str, words: int, classes: int = 2) -> nn.Module:
    """Build the network of that name: ``lstm``, ``transformer`` or ``attention``.

    Raises:
        ValueError: The name is none of these.
    """
    kinds = {"lstm": LSTMReader, "transformer": TransformerReader, "attention": AttentionReader}
    if name not in kinds:
        raise ValueError(f"model.name must be {', '.join(kinds)}, not {name!r}.")
    network: nn.Module = kinds[name](words, classes)
    return network
