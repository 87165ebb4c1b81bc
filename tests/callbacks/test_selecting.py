"""``ModelCheckpoint`` and ``EarlyStopping`` read every number that salreg logs of an epoch."""

import math

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from support import Lit, fit, fresh, loader, regularizer

from salreg.callbacks import SaliencyMetrics

EPOCHS = 3


class Remember(pl.Callback):
    """What ``callback_metrics`` holds after each epoch's validation."""

    def __init__(self):
        self.epochs = []

    def on_train_epoch_end(self, trainer, pl_module):
        self.epochs.append({name: float(value) for name, value in trainer.callback_metrics.items()})


@pytest.fixture(scope="module")
def names():
    """Of everything that is logged once an epoch."""
    seen = Remember()
    fit(fresh(), regularizer(), SaliencyMetrics(), seen, val=loader(), epochs=1)
    return [name for name, value in seen.epochs[0].items() if not math.isnan(value)]


def test_a_model_can_be_kept_and_a_training_stopped_by_each(names, tmp_path):
    assert {"salreg/penalty", "salreg/spurious_saliency", "val/spurious_saliency", "val/reliance"} <= set(names)
    assert {"val/accuracy_under_intervention", "val/reliance_content", "val/reliance_removal"} <= set(names)
    kept = [ModelCheckpoint(tmp_path / name, monitor=name, mode="min") for name in names]
    stopping = [EarlyStopping(name, patience=100, mode="min") for name in names]
    seen = Remember()
    fit(
        fresh(), regularizer(), SaliencyMetrics(), seen, *kept, *stopping,
        val=loader(), epochs=EPOCHS, enable_checkpointing=True,
    )  # fmt: skip
    assert len(seen.epochs) == EPOCHS
    for name, keep, stop in zip(names, kept, stopping, strict=True):
        least = min(epoch[name] for epoch in seen.epochs)
        assert keep.best_model_score == pytest.approx(least), name
        assert stop.best_score == pytest.approx(least), name


def test_a_number_that_became_nan_stops_a_training():
    """And is not last epoch's."""

    class Diverges(Lit):
        def on_train_epoch_start(self):
            if self.current_epoch == 1:
                with torch.no_grad():
                    next(self.parameters()).fill_(math.nan)

    seen = Remember()
    stop = EarlyStopping("val/reliance", patience=100)
    used = fit(fresh(Diverges), SaliencyMetrics(), seen, stop, val=loader(), epochs=4)
    assert not math.isnan(seen.epochs[0]["val/reliance"])
    assert math.isnan(seen.epochs[1]["val/reliance"])
    assert used.current_epoch == 2
