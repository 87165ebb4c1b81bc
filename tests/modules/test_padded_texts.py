"""Texts that are padded to the left, as those of causal models are: marks stay on their own words."""

import pytest
import pytorch_lightning as pl
import torch
from modules.language import VOCABULARY
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader
from transformers import LlamaConfig, LlamaForSequenceClassification

from salreg import AnnotatedDataset
from salreg.callbacks import SaliencyRegularizer
from salreg.data import Collate

LENGTHS = [3, 6, 4, 5]


class Lit(pl.LightningModule):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=8,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=16,
            initializer_range=0.5,
            num_labels=3,
            pad_token_id=0,
        )
        self.net = LlamaForSequenceClassification(config)

    def training_step(self, batch, batch_idx):
        return self.net(**batch).loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def padded_to_the_left(samples):
    longest = max(len(sample["input_ids"]) for sample in samples)
    rows = [[0] * (longest - len(sample["input_ids"])) + sample["input_ids"] for sample in samples]
    labels = torch.tensor([sample["labels"] for sample in samples])
    return {"input_ids": torch.tensor(rows), "attention_mask": (torch.tensor(rows) > 0).long(), "labels": labels}


def test_the_penalty_is_that_of_the_marked_words_wherever_padding_puts_them():
    torch.manual_seed(0)
    texts = [torch.randint(1, VOCABULARY, (length,)).tolist() for length in LENGTHS]
    samples = [{"input_ids": text, "labels": number % 3} for number, text in enumerate(texts)]
    marks = [torch.zeros(length, dtype=torch.int8).index_fill(0, torch.tensor([1]), -1) for length in LENGTHS]
    loader = DataLoader(AnnotatedDataset(samples, marks), 4, collate_fn=Collate(padded_to_the_left))
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        callbacks=[SaliencyRegularizer(intervene=False, weight=1e-3)],
        precision="64-true",
        **quiet,
    )
    trainer.fit(Lit(), loader)

    net, batch = Lit().net.double(), padded_to_the_left(samples)
    embedded = net.model.embed_tokens(batch["input_ids"]).detach().requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):
        at_the_end = net.score(
            net.model(inputs_embeds=embedded, attention_mask=batch["attention_mask"]).last_hidden_state[:, -1]
        )
    (gradient,) = torch.autograd.grad(at_the_end.log_softmax(1).sum(), embedded)
    squares = (gradient * embedded.detach().flatten(0, 1).std(0, correction=0)).square().sum(2)
    second = [max(LENGTHS) - length + 1 for length in LENGTHS]
    expected = squares[torch.arange(len(LENGTHS)), second].mean()
    assert float(trainer.callback_metrics["salreg/penalty"]) == pytest.approx(float(expected), rel=1e-5)
