"""Sends snapshots to a Trainer's loggers."""

from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_warn

from salreg.callbacks.painter import Painted
from salreg.callbacks.sinks.sink import Sink
from salreg.callbacks.sinks.tensorboard_events import TensorBoardEvents
from salreg.callbacks.sinks.trackio_runs import TrackioRuns
from salreg.callbacks.sinks.wandb_runs import WandbRuns
from salreg.callbacks.trackio_logger import TrackioLogger


class Loggers:
    """Sends snapshots to all loggers. A logger that fails (no network, a full disk) causes only a warning.

    Attributes:
        loggers: The Trainer's loggers.
    """

    def __init__(self) -> None:
        self.loggers: list[Logger] = []
        self._sinks: dict[Logger, Sink] = {}

    def write(self, painted: Painted) -> None:
        """Send pictures to W&B, trackio and TensorBoard, numbers to every logger, and alerts to loggers that have them."""
        for logger in self.loggers:
            try:
                self._sinks.setdefault(logger, _sink_of(logger)).write(painted)
            except Exception as error:  # training continues, whatever a logger raises
                rank_zero_warn(f"{type(logger).__name__} did not accept the saliency snapshot: {error}")


class Numbers:
    """Sends only the numbers, to a logger that accepts no pictures."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def write(self, painted: Painted) -> None:
        """Send the numbers."""
        self._logger.log_metrics(painted.snapshot.numbers, painted.snapshot.step)


def _sink_of(logger: Any) -> Sink:
    if isinstance(logger, TrackioLogger):
        return TrackioRuns(logger)
    names = {one.__name__ for one in type(logger).__mro__}  # from either Lightning package
    if "WandbLogger" in names:
        return WandbRuns(logger)
    return TensorBoardEvents(logger) if "TensorBoardLogger" in names else Numbers(logger)
