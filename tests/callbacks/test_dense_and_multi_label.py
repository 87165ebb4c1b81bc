"""Modules that are no plain classifiers: several labels a sample, and logits for every place."""

import pytest
import pytorch_lightning as pl
import torch
from support import SIDE, images
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from salreg import AnnotatedDataset
from salreg.attributions import InputGradient
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer, SaliencySnapshots
from salreg.scores import Dense


class Lit(pl.LightningModule):
    def __init__(self, dense):
        super().__init__()
        torch.manual_seed(0)
        layers = [nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 3, 3, padding=1)]
        self.net = nn.Sequential(*layers) if dense else nn.Sequential(*layers, nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 3))
        self.loss = cross_entropy if dense else binary_cross_entropy_with_logits

    def training_step(self, batch, batch_idx):
        x, y = batch
        return self.loss(self.net(x), y)

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def data(dense):
    x, y, annotations = images(16)
    target = (x[:, 0] > 0.5).long() if dense else nn.functional.one_hot(y, 3).float().roll(1, 0).maximum(torch.eye(3)[y])
    return DataLoader(AnnotatedDataset(TensorDataset(x, target), annotations), batch_size=8)


@pytest.mark.parametrize("dense", [True, False], ids=["dense", "multi-label"])
def test_every_callback_serves_them(tmp_path, dense):
    explained = InputGradient(score=Dense("target_logit") if dense else "target_logit")
    callbacks = [
        SaliencyRegularizer(explained, weight=10, target=1, intervene=False),
        SaliencyMetrics(explained, rationale=True, target=1),
        SaliencySnapshots(attributions=[explained], target=1, panel=4, dir=tmp_path),
    ]
    trainer = pl.Trainer(max_epochs=2, logger=False, callbacks=callbacks, enable_progress_bar=False, enable_checkpointing=False)
    trainer.fit(Lit(dense), data(dense), data(dense))
    seen = trainer.callback_metrics
    assert seen["salreg/penalty"] > 0
    assert 0 < seen["val/spurious_saliency"] < 1
    assert 0 <= seen["val/reliance"] <= 1
    assert "val/accuracy_under_intervention" not in seen  # of which class would it be?
    assert len(list(tmp_path.rglob("film_strip.png"))) >= 1


@pytest.mark.parametrize("dense", [True, False], ids=["dense", "multi-label"])
def test_the_penalty_is_that_of_a_handwritten_step(dense):
    module, loader = Lit(dense), data(dense)
    regularizer = SaliencyRegularizer(
        InputGradient(score=Dense("target_logit") if dense else "target_logit"), weight=1.0, target=1, intervene=False
    )
    pl.Trainer(max_steps=1, logger=False, callbacks=[regularizer], enable_progress_bar=False, enable_checkpointing=False).fit(
        module, loader
    )

    byhand = Lit(dense)
    batch = next(iter(loader))
    x, y = batch.sample
    x = x.clone().requires_grad_()
    logits = byhand.net(x)
    score = logits.gather(1, y.unsqueeze(1)).mean((1, 2, 3)) if dense else (logits * y).sum(1)
    (gradient,) = torch.autograd.grad(score.sum(), x, create_graph=True)
    annotated = batch.annotation.flatten(1).any(1)
    spread = x[annotated].detach().std(correction=0)
    penalty = ((gradient * spread * (batch.annotation < 0)) ** 2).sum((1, 2, 3))[annotated].mean()
    (byhand.loss(logits, y) + penalty).backward()
    for parameter, trained in zip(byhand.parameters(), module.parameters(), strict=True):
        torch.testing.assert_close(parameter - 0.1 * parameter.grad, trained, rtol=1e-5, atol=1e-6)
