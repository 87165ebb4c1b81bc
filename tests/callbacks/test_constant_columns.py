"""A gradient at a column that never varies is no use of it, and is not drawn as such."""

import pytest
import pytorch_lightning as pl
import torch
from support import Lit, fit, fresh, loader, regularizer, trainer
from torch import nn
from torch.utils.data import TensorDataset
from two_processes import Gloo

from salreg.callbacks import SaliencyMetrics, SaliencySnapshots
from salreg.callbacks.constant_columns import constant_columns
from salreg.data import AnnotatedDataset


def rows(blind: bool, n: int = 64) -> AnnotatedDataset:
    """Three columns, the second of which is marked; a blind arm sees nothing but zeros there."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 3, generator=generator)
    y = (x[:, 0] + x[:, 1] > 0).long()
    if blind:
        x[:, 1] = 0
    marks = torch.tensor([0, -1, 0], dtype=torch.int8).expand(n, 3)
    return AnnotatedDataset(TensorDataset(x, y), list(marks))


class Halves(pl.LightningDataModule):
    """Two batches of 20 rows, one for each process: the second column tells them apart, and the third is 1 in both."""

    @staticmethod
    def rows():
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(40, 3, generator=generator)
        x[:20, 1], x[20:, 1], x[:, 2] = -1, 1, 1
        return x, (x[:, 0] > 0).long()

    def _loader(self):
        x, y = self.rows()
        marks = torch.tensor([0, -1, 0], dtype=torch.int8).expand(20, 3)
        half = slice(20 * self.trainer.global_rank, 20 * (self.trainer.global_rank + 1))
        return loader(AnnotatedDataset(TensorDataset(x[half], y[half]), list(marks)), 20)

    train_dataloader = val_dataloader = _loader


def drawn(tmp_path, blind):
    snapshots = SaliencySnapshots(panel=4, dir=tmp_path, probes=["occlusion"], sanity=False)
    snapshots.names = ["age", "race", "income"]
    data = rows(blind)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3))
    fit(fresh(Lit, net), regularizer(), snapshots, data=loader(data, 16), val=loader(data, 16), epochs=1)
    return snapshots.history


@pytest.mark.parametrize("blind", [True, False])
def test_the_column_of_a_blind_arm_is_neither_drawn_nor_counted(tmp_path, blind):
    history = drawn(tmp_path, blind)
    frame = history.frames["input_gradient"][-1]
    assert all((saliency[1] == 0) == blind for saliency in frame.saliency)
    assert all((share == 0) == blind for share in frame.shares)
    assert history.names[0] == ["age", "race (fixed)" if blind else "race", "income"]


def share_by_hand(net, x, columns):
    """Of the second column, of those that count."""
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(x).log_softmax(1).sum(), x)
    gradient = gradient.abs() * torch.tensor(columns, dtype=torch.float32)
    return float((gradient[:, 1] / gradient.sum(1)).mean())


@pytest.mark.parametrize("blind", [True, False])
def test_nor_is_it_counted_on_the_validation_data(blind):
    """Where a column that varies in the second batch only is."""
    data = rows(blind)
    data.base.tensors[0][:48, 2] = 1.5
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3))
    used = fit(fresh(Lit, net), SaliencyMetrics(), data=loader(data, 16), val=loader(data, 16), epochs=1)
    share = float(used.callback_metrics["val/spurious_saliency"])
    assert (share == 0) == blind
    assert share == pytest.approx(share_by_hand(net, data.base.tensors[0], [1, not blind, 1]), rel=1e-4)


def test_processes_together_tell_what_is_constant(tmp_path):
    """Each process sees one value in a column; only of one column it is the same."""
    module = fresh(Lit, nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3)))
    options = {"devices": 2, "strategy": Gloo(), "use_distributed_sampler": False}
    used = trainer(SaliencyMetrics(), epochs=1, **options)
    used.fit(module, datamodule=Halves())
    expected = share_by_hand(module.net, Halves.rows()[0], [1, 1, 0])
    assert float(used.callback_metrics["val/spurious_saliency"]) == pytest.approx(expected, rel=1e-4)


def test_a_few_rows_tell_nothing():
    assert constant_columns(torch.zeros(31, 2)) is None
    assert constant_columns(torch.zeros(32, 2)).all()


@pytest.mark.parametrize("given", [torch.zeros(64, 5, dtype=torch.long), torch.zeros(64, 1, 8, 8), torch.rand(64, 5)])
def test_texts_images_and_varying_columns_have_none(given):
    assert constant_columns(given) is None
