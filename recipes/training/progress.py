"""The progress bar of the recipes."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.callbacks.progress.tqdm_progress import Tqdm


class PassingBar(TQDMProgressBar):
    """A bar that disappears when it is full, so that the results stay together on the screen."""

    def init_train_tqdm(self) -> Tqdm:
        return _passing(super().init_train_tqdm())

    def init_test_tqdm(self) -> Tqdm:
        return _passing(super().init_test_tqdm())

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """The metrics that are logged for the bar, without the logger's version number."""
        shown = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)
        return shown


def _passing(bar: Tqdm) -> Tqdm:
    bar.leave = False
    return bar
