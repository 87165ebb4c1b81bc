"""A snapshot to whatever loggers a Trainer has, in one call each: every call advances W&B's own step."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_warn

from salreg.callbacks.snapshot_files import Snapshot
from salreg.callbacks.trackio_logger import TrackioLogger
from salreg.callbacks.wandb_snapshots import WandbSnapshots
from salreg.plotting import History


class SnapshotLogging:
    """Sends snapshots. A logger that fails (no network, a full disk) costs a warning."""

    def __init__(self) -> None:
        self._wandb: dict[str, WandbSnapshots] = {}

    def send(self, trainer: pl.Trainer, history: History, snapshot: Snapshot, alerts: list[str]) -> None:
        """Pictures to W&B, trackio and TensorBoard, numbers to every logger, alerts where there are such."""
        for logger in trainer.loggers:
            try:
                self._send(logger, trainer.global_step, history, snapshot, alerts)
            except Exception as error:  # whatever a logger raises, the training goes on
                rank_zero_warn(f"{type(logger).__name__} did not take the saliency snapshot: {error}")

    def _send(self, logger: Logger, step: int, history: History, snapshot: Snapshot, alerts: list[str]) -> None:
        if isinstance(logger, WandbLogger):
            run = logger.experiment
            sender = self._wandb.setdefault(run.id, WandbSnapshots(run))
            logger.log_metrics(sender.payload(history, snapshot), step)
            for alert in alerts:
                run.alert("salreg", alert)
        elif isinstance(logger, TrackioLogger):
            logger.log_metrics({**snapshot.numbers, **_trackio_images(snapshot)}, step)
            for alert in alerts:
                logger.alert(alert)
        else:
            logger.log_metrics(snapshot.numbers, step)
        if isinstance(logger, TensorBoardLogger):
            for name, strip in snapshot.film_strips.items():
                logger.experiment.add_image(f"salreg/{name}/film_strip", strip, step, dataformats="HWC")
                for index, picture in enumerate(snapshot.overlays[name]):
                    logger.experiment.add_image(f"salreg/{name}/panel/{index:02d}", picture, step, dataformats="HWC")


def _trackio_images(snapshot: Snapshot) -> dict[str, Any]:
    import trackio

    images: dict[str, Any] = {}
    for name, frame in snapshot.frames.items():
        images[f"salreg/{name}/film_strip"] = trackio.Image(snapshot.film_strips[name])
        for index, picture in enumerate(snapshot.overlays[name]):
            images[f"salreg/{name}/sample_{index:02d}"] = trackio.Image(picture, caption=frame.caption(index))
    return images
