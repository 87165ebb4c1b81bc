"""The numbers of a regularizer that a training logs, by step and by epoch."""

from collections.abc import Iterable
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from salreg.callbacks.epoch_means import EpochMeans
from salreg.callbacks.schedule import Schedule

_OF_EPOCHS = ("penalty", "spurious_saliency", "intervened")


class LoggedNumbers:
    """Logs numbers at each step, and their means at the end of an epoch.

    Args:
        name: The prefix of the keys.
        schedule: Whether the penalty is trained or only watched.
    """

    def __init__(self, name: str, schedule: Schedule) -> None:
        self.name, self.schedule = name, schedule
        self._means = EpochMeans()

    def of_step(self, module: pl.LightningModule, input: str | None, values: dict[str, Any]) -> None:
        """Log a step's numbers."""
        for key, value in values.items():
            module.log(self._key(input, key), value, prog_bar=self._is_on_the_bar(key), batch_size=1)

    def mean_of_step(self, module: pl.LightningModule, input: str | None, key: str, values: Tensor) -> None:
        """Log the mean over a step's samples ``(N,)`` of this process, and add it to the epoch's; nothing if N is 0."""
        if len(values):
            self.of_step(module, input, {key: values.mean()})
            self.add(input, key, values.mean(), len(values))

    def add(self, input: str | None, key: str, mean: Tensor, count: float) -> None:
        """Add the mean of so many samples to the epoch's, see ``EpochMeans.add``."""
        self._means.add(self._key(input, key), mean, count)

    def forget(self, inputs: Iterable[str | None], logged: dict[str, Tensor]) -> None:
        """Remove the last epoch's means from the Trainer's metrics: an epoch that scores no sample has none."""
        for key in self._epoch_keys(inputs):
            logged.pop(key, None)

    def of_epoch(self, inputs: Iterable[str | None], trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Log the epoch's means over the samples that were scored. In the Trainer's metrics they replace the last step's; in
        loggers, which hold the steps, ``_epoch`` is appended to the name. Every process must call this."""
        means = self._means.take(self._epoch_keys(inputs), module.device)
        for key, mean in means.items():
            module.log(key, mean.float(), logger=False, prog_bar=self._is_on_the_bar(key), batch_size=1)
        # By the loggers' own method: Lightning would send them a step behind the snapshot of this epoch.
        if means and trainer.is_global_zero:
            values = {f"{key}_epoch": float(mean) for key, mean in means.items()}
            for logger in trainer.loggers:
                logger.log_metrics({**values, "epoch": trainer.current_epoch}, trainer.global_step)

    def _is_on_the_bar(self, key: str) -> bool:
        """Whether the progress bar shows it: a penalty that is only watched is left out."""
        return key.endswith("spurious_saliency") or (key.endswith("penalty") and self.schedule.weight > 0)

    def _epoch_keys(self, inputs: Iterable[str | None]) -> list[str]:
        return [self._key(name, key) for name in sorted(inputs, key=lambda name: name or "") for key in _OF_EPOCHS]

    def _key(self, input: str | None, key: str) -> str:
        return f"{self.name}/{key}" if input is None else f"{self.name}/{input}/{key}"
