"""Numbers of a training are means over an epoch's scored samples, and absent where there were none."""

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from support import fit, fresh, images, loader, regularizer
from torch.utils.data import TensorDataset

from salreg.callbacks import SaliencyRegularizer, SaliencySnapshots
from salreg.callbacks.epoch_means import EpochMeans
from salreg.data import AnnotatedDataset


def marked(*samples):
    """24 samples, three batches of 8 in order, of which these are marked."""
    x, y, annotations = images(24)
    annotations[:, :, :3, :3] = -1
    return loader(AnnotatedDataset(TensorDataset(x, y), {sample: annotations[sample] for sample in samples}))


class Steps(pl.Callback):
    """Remembers what each step's metrics hold, and each epoch's."""

    def __init__(self):
        self.steps, self.epochs = [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.steps.append({key: value.item() for key, value in trainer.callback_metrics.items()})

    def on_train_epoch_end(self, trainer, pl_module):
        self.epochs.append({key: value.item() for key, value in trainer.callback_metrics.items()})


def test_an_epochs_penalty_is_the_mean_over_its_scored_samples():
    seen = Steps()
    fit(fresh(), regularizer(), seen, data=marked(0, 1, 8), epochs=1)
    first, second, _ = (step["salreg/penalty"] for step in seen.steps)
    assert first != second
    assert seen.epochs[0]["salreg/penalty"] == pytest.approx((2 * first + second) / 3)
    shares = [step["salreg/spurious_saliency"] for step in seen.steps]
    assert seen.epochs[0]["salreg/spurious_saliency"] == pytest.approx((2 * shares[0] + shares[1]) / 3)


def test_loggers_have_the_epochs_mean_beside_the_steps(tmp_path):
    logger = CSVLogger(tmp_path)
    used = fit(fresh(), regularizer(), data=marked(0, 1, 8), epochs=1, logger=logger, log_every_n_steps=1)
    rows = (tmp_path / "lightning_logs" / "version_0" / "metrics.csv").read_text().splitlines()
    table = [dict(zip(rows[0].split(","), row.split(","), strict=True)) for row in rows[1:]]
    assert float(table[-1]["salreg/penalty_epoch"]) == pytest.approx(used.callback_metrics["salreg/penalty"].item())
    assert table[-1]["salreg/penalty"] == ""


class ForOneEpoch(SaliencyRegularizer):
    """Penalises the first epoch only."""

    def on_train_epoch_end(self, trainer, pl_module):
        super().on_train_epoch_end(trainer, pl_module)
        self.weight = 0.0


@pytest.mark.parametrize("drawn_first", [True, False])
def test_an_epoch_that_scores_nothing_has_no_number(tmp_path, drawn_first):
    ours, snapshots = ForOneEpoch(intervene=False), SaliencySnapshots(panel=2, dir=tmp_path, probes=[], sanity=False)
    callbacks = [snapshots, ours] if drawn_first else [ours, snapshots]
    used = fit(fresh(), *callbacks, data=marked(0, 1), epochs=3)
    assert "salreg/penalty" not in used.callback_metrics
    assert [epoch for epoch, logged in snapshots.history.curves.items() if "salreg/penalty" in logged] == [1]


def test_what_the_history_holds_is_the_epochs_mean(tmp_path):
    seen, snapshots = Steps(), SaliencySnapshots(panel=2, dir=tmp_path, probes=[], sanity=False)
    fit(fresh(), snapshots, regularizer(), seen, data=marked(0, 1, 8), epochs=2)
    assert [snapshots.history.curves[epoch]["salreg/penalty"] for epoch in (1, 2)] == pytest.approx(
        [logged["salreg/penalty"] for logged in seen.epochs]
    )


def test_without_a_penalty_the_watched_maps_are_averaged_too():
    seen = Steps()
    fit(fresh(), SaliencyRegularizer(), seen, data=marked(0, 1, 8), epochs=1, log_every_n_steps=1)
    shares = [step["salreg/spurious_saliency"] for step in seen.steps]
    assert seen.epochs[0]["salreg/spurious_saliency"] == pytest.approx((2 * shares[0] + shares[1]) / 3)


def test_a_mean_that_is_not_finite_counts_only_where_there_is_no_other():
    means, keys = EpochMeans(), ["a", "b"]
    for value in (1.0, float("nan"), float("inf")):
        means.add("a", torch.tensor(value), count=1)
    means.add("b", torch.tensor(float("nan")), count=1)
    taken = means.take(keys, torch.device("cpu"))
    assert taken["a"] == 1.0
    assert taken["b"].isnan()
    assert means.take(keys, torch.device("cpu")) == {}
