"""The optimiser of the recipes."""

from typing import Any

import pytorch_lightning as pl
import torch


class AdamWModule(pl.LightningModule):
    """A module that AdamW optimises.

    Args:
        lr: The learning rate.
        weight_decay: The weight decay; 0 makes AdamW plain Adam.
        schedule: The learning rate's schedule: ``constant``, or ``cosine`` down to 0 over the epochs.

    Raises:
        ValueError: The schedule is neither.
    """

    def __init__(self, *, lr: float, weight_decay: float = 0.0, schedule: str = "constant") -> None:
        super().__init__()
        if schedule not in ("constant", "cosine"):
            raise ValueError(f"optimizer.schedule must be constant or cosine, not {schedule!r}.")
        self.lr, self.weight_decay, self.schedule = lr, weight_decay, schedule

    def configure_optimizers(self) -> Any:
        trained = [one for one in self.parameters() if one.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=self.lr, weight_decay=self.weight_decay)
        if self.schedule == "constant":
            return optimizer
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.trainer.max_epochs or 1)]
