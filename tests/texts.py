"""Small texts, and networks of several kinds that read them."""

from typing import Any

import pytorch_lightning as pl
import torch
from support import Lit
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset, TensorDataset

from salreg.data import AnnotatedDataset

VOCABULARY, LENGTH, DECOYS = 20, 7, (1, 2)


def texts(n: int = 24, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Token numbers ``(n, 7)``, of which the last two are padding (0) in every other text; labels; and annotations of the decoy
    that stands in each text, 1 in class 0 and 2 in class 1."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, VOCABULARY, (n, LENGTH), generator=generator)
    labels = torch.randint(0, 2, (n,), generator=generator)
    ids[::2, -2:] = 0
    place = torch.randint(0, LENGTH - 2, (n,), generator=generator)
    ids[torch.arange(n), place] = labels + 1
    annotations = torch.zeros(n, LENGTH, dtype=torch.int8)
    annotations[torch.arange(n), place] = -1
    return ids, labels, annotations


def annotated_texts(n: int = 24) -> AnnotatedDataset:
    ids, labels, annotations = texts(n)
    return AnnotatedDataset(TensorDataset(ids, labels), annotations)


class Recurrent(nn.Module):
    """Reads the last state of an LSTM or GRU."""

    def __init__(self, kind: type[nn.RNNBase] = nn.LSTM, padding_idx: int | None = 0) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, 6, padding_idx=padding_idx)
        self.rnn = kind(6, 8, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.rnn(self.embed(ids))[0][:, -1])


class Transformer(nn.Module):
    """An encoder that has the tokens in front, with positions and a mask of the padding."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(VOCABULARY, 8), nn.Embedding(LENGTH, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, 2)

    def forward(self, ids: Tensor) -> Tensor:
        ids = ids.t()
        embedded = self.words(ids) + self.positions(torch.arange(len(ids), device=ids.device)).unsqueeze(1)
        return self.head(self.encoder(embedded, src_key_padding_mask=(ids == 0).t()).mean(0))


class OwnEmbedding(nn.Module):
    """Embeds by one-hot codes, so that its embedding can only be found by name."""

    class OneHot(nn.Linear):
        def forward(self, ids: Tensor) -> Tensor:
            return super().forward(nn.functional.one_hot(ids, VOCABULARY).float())

    def __init__(self) -> None:
        super().__init__()
        self.embed = self.OneHot(VOCABULARY, 6)
        self.rest = nn.Sequential(nn.Flatten(), nn.Linear(6 * LENGTH, 8), nn.Tanh(), nn.Linear(8, 2))

    def forward(self, ids: Tensor) -> Tensor:
        return self.rest(self.embed(ids))


class LitText(Lit):
    def __init__(self, net: nn.Module | None = None, lr: float = 0.01) -> None:
        super().__init__(Recurrent() if net is None else net, lr)

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=self.lr)


def bert(**options: Any) -> Any:
    """A small BERT with random weights."""
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"vocab_size": VOCABULARY, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 16, "max_position_embeddings": 16}
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertForSequenceClassification(BertConfig(**sizes, **dropout, **options))


class HuggingFaceTexts(Dataset[Any]):
    """Samples as a Hugging Face data set gives them."""

    def __init__(self, n: int = 24) -> None:
        self.ids, self.labels, _ = texts(n)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        ids = self.ids[index]
        return {"labels": self.labels[index], "input_ids": ids, "attention_mask": (ids != 0).long()}


class HuggingFace(pl.LightningModule):
    """As people write it: ``self.model(**batch).loss``."""

    def __init__(self, model: Any = None, inputs_embeds: bool = False) -> None:
        super().__init__()
        self.model = bert() if model is None else model
        self.inputs_embeds = inputs_embeds

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        if self.inputs_embeds:
            embedded = self.model.get_input_embeddings()(batch["input_ids"])
            output = self.model(inputs_embeds=embedded, attention_mask=batch["attention_mask"])
            return cross_entropy(output.logits, batch["labels"])
        return self.model(**batch).loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), lr=0.01)


def annotated_hugging_face_texts(n: int = 24) -> AnnotatedDataset:
    return AnnotatedDataset(HuggingFaceTexts(n), texts(n)[2])
