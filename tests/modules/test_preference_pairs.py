"""Networks that a step calls more than once: every call that gets marked tokens is penalised."""

import pytest
import pytorch_lightning as pl
import torch
from modules.language import VOCABULARY
from torch import nn
from torch.nn.functional import cross_entropy, logsigmoid
from torch.utils.data import DataLoader

from salreg import AnnotatedDataset
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer

SAMPLES, LENGTH = 8, 7


class Reward(nn.Module):
    """One number for a text, or two classes."""

    def __init__(self, outputs):
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(VOCABULARY, 6)
        self.rnn = nn.GRU(6, 6, batch_first=True)
        self.head = nn.Linear(6, outputs)

    def forward(self, input_ids, attention_mask=None):
        return self.head(self.rnn(self.words(input_ids))[0][:, -1])


class Lit(pl.LightningModule):
    def __init__(self, outputs):
        super().__init__()
        self.net = Reward(outputs)

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


class Preferred(Lit):
    def training_step(self, batch, batch_idx):
        chosen = self.net(batch["chosen"], attention_mask=batch["chosen_mask"])
        rejected = self.net(batch["rejected"], attention_mask=batch["rejected_mask"])
        return -logsigmoid(chosen - rejected).mean()


class Twice(Lit):
    """R-Drop: the mean of two calls on the same texts."""

    def training_step(self, batch, batch_idx):
        first, second = self.net(batch["input_ids"]), self.net(batch["input_ids"])
        return cross_entropy(first, batch["labels"]) + cross_entropy(second, batch["labels"])


def pairs(*names):
    torch.manual_seed(0)
    ids = {name: torch.randint(1, VOCABULARY, (SAMPLES, LENGTH)) for name in names}
    marks = {name: torch.zeros(SAMPLES, LENGTH, dtype=torch.int8) for name in names}
    for place, name in enumerate(names):
        marks[name][:, 2 + place] = -1
    masks = {f"{name}_mask": torch.ones(SAMPLES, LENGTH, dtype=torch.long) for name in names}
    masks["labels"] = torch.randint(2, (SAMPLES,))
    rows = [{key: value[index] for key, value in {**ids, **masks}.items()} for index in range(SAMPLES)]
    return AnnotatedDataset(rows, marks), ids, marks


def train(module, data, *callbacks):
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(max_epochs=1, accelerator="cpu", callbacks=list(callbacks), precision="64-true", **quiet)
    loader = DataLoader(data, SAMPLES)
    trainer.fit(module, loader, loader)
    return trainer.callback_metrics


def by_hand(score, embedded, marks):
    """The squared gradient of the score at one text's marked words, in standard deviations of its embeddings."""
    (gradient,) = torch.autograd.grad(score.sum(), embedded, retain_graph=True)
    spread = embedded.detach().flatten(0, 1).std(0, correction=0)
    return (gradient * spread * marks.unsqueeze(2)).square().sum((1, 2)).mean()


def test_of_a_preference_pair_the_margin_is_explained_at_both_texts():
    data, ids, marks = pairs("chosen", "rejected")
    metrics = train(Preferred(1), data, SaliencyRegularizer(intervene=False, weight=1e-3), SaliencyMetrics(input="rejected"))
    net = Reward(1).double()
    embedded = {name: net.words(tokens).detach().requires_grad_() for name, tokens in ids.items()}
    reward = {name: net.head(net.rnn(one)[0][:, -1]) for name, one in embedded.items()}
    margin = reward["chosen"] - reward["rejected"]
    score = logsigmoid(margin) + logsigmoid(-margin)
    for name in ids:
        expected = by_hand(score, embedded[name], marks[name])
        assert float(metrics[f"salreg/{name}/penalty"]) == pytest.approx(float(expected), rel=1e-5)
    assert 0 < metrics["val/spurious_saliency"] < 1


def test_the_other_text_of_a_pair_stays_as_it_is_when_one_is_changed():
    data, ids, marks = pairs("chosen", "rejected")
    seen = []

    class Watched(Preferred):
        def training_step(self, batch, batch_idx):
            if self.training:
                seen.append(batch)
            return super().training_step(batch, batch_idx)

    metrics = train(Watched(1), data, SaliencyRegularizer(input="rejected"), SaliencyMetrics(input="rejected"))
    changed = seen[0]["rejected"] != ids["rejected"]
    assert changed.any()
    assert (marks["rejected"][changed] < 0).all()
    assert torch.equal(seen[0]["chosen"], ids["chosen"])
    assert "val/reliance_content" in metrics


def test_a_network_that_is_called_twice_is_penalised_for_both_calls():
    data, ids, marks = pairs("input_ids")
    data = AnnotatedDataset(data.base, marks["input_ids"])
    metrics = train(Twice(2), data, SaliencyRegularizer(intervene=False, weight=1e-3))
    net = Reward(2).double()
    embedded = net.words(ids["input_ids"]).detach().requires_grad_()
    logits = net.head(net.rnn(embedded)[0][:, -1])  # the same twice, whose mean is explained
    expected = by_hand(logits.log_softmax(1).sum(1), embedded, marks["input_ids"])
    assert float(metrics["salreg/penalty"]) == pytest.approx(float(expected), rel=1e-5)
