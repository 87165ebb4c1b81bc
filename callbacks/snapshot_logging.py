"""Pictures and numbers of a snapshot, to whatever logger takes them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_warn


def log_images(trainer: pl.Trainer, images: Mapping[str, Sequence[Any]], captions: Mapping[str, Sequence[str]]) -> None:
    """Send pictures, ``uint8`` arrays ``(H, W, 3)`` by key, to the Trainer's W&B and TensorBoard loggers.

    A logger that fails (no network, a full disk) costs a warning.
    """
    for logger in trainer.loggers:
        try:
            _send(logger, images, captions, trainer.global_step)
        except Exception as error:  # whatever a logger raises, the training goes on
            rank_zero_warn(f"{type(logger).__name__} did not take the saliency pictures: {error}")


def log_numbers(trainer: pl.Trainer, values: Mapping[str, float]) -> None:
    """Send numbers to all loggers of the Trainer. A logger that fails costs a warning."""
    for logger in trainer.loggers:
        try:
            logger.log_metrics(dict(values), trainer.global_step)
        except Exception as error:  # whatever a logger raises, the training goes on
            rank_zero_warn(f"{type(logger).__name__} did not take the saliency numbers: {error}")


def _send(logger: Logger, images: Mapping[str, Sequence[Any]], captions: Mapping[str, Sequence[str]], step: int) -> None:
    if isinstance(logger, WandbLogger):
        import wandb

        pictures = {
            key: [
                wandb.Image(picture, caption=caption)
                for picture, caption in zip(several, captions.get(key, [None] * len(several)), strict=True)
            ]
            for key, several in images.items()
        }
        logger.log_metrics(pictures, step)  # type: ignore[arg-type]  # one call, so that W&B counts one step
    elif isinstance(logger, TensorBoardLogger):
        for key, several in images.items():
            for index, picture in enumerate(several):
                tag = key if len(several) == 1 else f"{key}/{index:02d}"
                logger.experiment.add_image(tag, picture, step, dataformats="HWC")
