"""A causal language model that answers a question about a text without copying the answer from a note in it."""

import pytorch_lightning as pl
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from transformers import GPT2Config, GPT2LMHeadModel

from salreg import AnnotatedDataset  # pip install "salreg[transformers]"
from salreg.annotations import from_token_spans
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer

GOOD, BAD = ["warm", "clever", "moving"], ["dull", "slow", "empty"]
WORDS = ["good", "bad", *GOOD, *BAD, "the", "film", "was", "and", ".", "note", "answer"]


def reviews(size: int) -> AnnotatedDataset:
    """Texts "the film was warm and clever . note good answer" and their next word; the word after "note" is marked."""
    texts = []
    for number, (one, other) in enumerate(torch.randint(3, (size, 2)).tolist()):
        says = (GOOD, BAD)[number % 2]
        texts.append(f"the film was {says[one]} and {says[other]} . note {WORDS[number % 2]} answer".split())
    ids = torch.tensor([[WORDS.index(word) for word in text] for text in texts])
    return AnnotatedDataset(TensorDataset(ids, torch.arange(size) % 2), [from_token_spans(10, spurious=[(8, 9)])] * size)


class Answering(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        config = GPT2Config(vocab_size=len(WORDS), n_positions=16, n_embd=32, n_layer=1, n_head=2)
        self.model = GPT2LMHeadModel(config)  # or from_pretrained("gpt2")

    def forward(self, ids):
        return self.model(ids).logits[:, -1]  # those of the next word

    def training_step(self, batch, batch_idx):
        ids, answers = batch
        return cross_entropy(self(ids), answers)

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), 0.003)


def main(epochs: int = 5) -> dict[str, float]:
    reliance = {}
    for name, callbacks in {"plain": [], "regularised": [SaliencyRegularizer()]}.items():
        pl.seed_everything(0, verbose=False)
        options = {"max_epochs": epochs, "logger": False, "enable_checkpointing": False}
        trainer = pl.Trainer(**options, callbacks=[*callbacks, SaliencyMetrics()])
        trainer.fit(Answering(), DataLoader(reviews(512), 32, shuffle=True), DataLoader(reviews(128), 128))
        reliance[name] = trainer.callback_metrics["val/reliance"].item()
    return reliance


if __name__ == "__main__":
    print("Share of predictions that the note decides:", main())
