"""The progress bar of recipes."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.callbacks.progress.tqdm_progress import Tqdm


class PassingBar(TQDMProgressBar):
    """A bar that is gone when it is full, so that what was found stays together on the screen."""

    def init_train_tqdm(self) -> Tqdm:
        return _passing(super().init_train_tqdm())

    def init_test_tqdm(self) -> Tqdm:
        return _passing(super().init_test_tqdm())

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """What is logged for the bar, without the end of the run's name that stands for its version."""
        shown = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)
        return shown


def _passing(bar: Tqdm) -> Tqdm:
    bar.leave = False
    return bar
