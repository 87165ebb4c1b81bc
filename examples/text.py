"""Reviews whose rating must not be used: an LSTM, and a list of forbidden words. Run: python examples/text.py"""

import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from salreg import AnnotatedDataset
from salreg.annotations import from_lexicon
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer

GOOD, BAD = ["warm", "clever", "moving", "funny"], ["dull", "slow", "empty", "loud"]
WORDS = [*GOOD, *BAD, "the", "film", "was", "and", "then", ":", "one", "five", "stars"]


def reviews(size: int, seed: int) -> AnnotatedDataset:
    picked = torch.randint(4, (size, 3), generator=torch.Generator().manual_seed(seed)).tolist()
    texts = []
    for number, (a, b, c) in enumerate(picked):
        own, other, rating = (GOOD, BAD, "five") if number % 2 else (BAD, GOOD, "one")
        texts.append(f"the film was {own[a]} and {other[b]} then {own[c]} : {rating} stars".split())
    ids = torch.tensor([[WORDS.index(word) for word in text] for text in texts])
    marks = [from_lexicon(text, spurious=["one", "five"]) for text in texts]
    return AnnotatedDataset(TensorDataset(ids, torch.arange(size) % 2), marks)


class Reader(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.read, self.head = nn.Embedding(len(WORDS), 16), nn.LSTM(16, 16, batch_first=True), nn.Linear(16, 2)

    def forward(self, ids):
        return self.head(self.read(self.embed(ids))[0][:, -1])

    def training_step(self, batch, batch_idx):
        ids, labels = batch
        return cross_entropy(self(ids), labels)

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.01)


def main(epochs: int = 6) -> dict[str, float]:
    reliance = {}
    for name, callbacks in {"plain": [], "regularised": [SaliencyRegularizer()]}.items():
        pl.seed_everything(0, verbose=False)
        options = {"max_epochs": epochs, "logger": False, "enable_checkpointing": False}
        trainer = pl.Trainer(**options, callbacks=[*callbacks, SaliencyMetrics()])
        trainer.fit(Reader(), DataLoader(reviews(512, 0), 32, shuffle=True), DataLoader(reviews(128, 1), 128))
        reliance[name] = trainer.callback_metrics["val/reliance"].item()
    return reliance


if __name__ == "__main__":
    print("Share of predictions that the rating decides:", main())
