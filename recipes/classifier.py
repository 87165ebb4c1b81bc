"""An ordinary Lightning classifier. It knows nothing of saliency: the callbacks do the rest."""

from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy

from salreg.metrics import WorstGroupAccuracy

Batch = tuple[Tensor, Tensor, Tensor]


class Classifier(pl.LightningModule):
    """Cross-entropy, AdamW, accuracy and worst-group accuracy on batches ``(images, labels, groups)``.

    Args:
        net: Gives the logits.
        groups: How many groups there are.
        classes: How many classes there are.
        lr: Learning rate.
        weight_decay: 0 makes AdamW plain Adam.
        schedule: ``constant``, or ``cosine`` down to 0 over the epochs.
    """

    def __init__(
        self,
        net: nn.Module,
        groups: int,
        classes: int = 10,
        *,
        lr: float,
        weight_decay: float = 0.0,
        schedule: str = "constant",
    ) -> None:
        super().__init__()
        if schedule not in ("constant", "cosine"):
            raise ValueError(f"optimizer.schedule is constant or cosine, not {schedule!r}.")
        self.net = net
        self.lr, self.weight_decay, self.schedule = lr, weight_decay, schedule
        self.accuracy = nn.ModuleDict(
            {f"{stage}_accuracy": MulticlassAccuracy(classes, average="micro") for stage in ("train", "val", "test")}
        )
        self.worst_group = WorstGroupAccuracy(groups)

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, labels, _ = batch
        return self._evaluated("train", self(images), labels)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels, _ = batch
        self._evaluated("val", self(images), labels)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels, groups = batch
        logits = self(images)
        self._evaluated("test", logits, labels)
        self.worst_group.update(logits, labels, groups)
        self.log("test/worst_group_accuracy", self.worst_group, on_step=False, on_epoch=True)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        if self.schedule == "constant":
            return optimizer
        epochs = self.trainer.max_epochs or 1
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)]

    def _evaluated(self, stage: str, logits: Tensor, labels: Tensor) -> Tensor:
        loss = cross_entropy(logits, labels)
        accuracy = self.accuracy[f"{stage}_accuracy"]
        accuracy(logits, labels)
        self.log(f"{stage}/loss", loss, on_step=False, on_epoch=True)
        self.log(f"{stage}/accuracy", cast(Metric, accuracy), on_step=False, on_epoch=True, prog_bar=stage != "test")
        return loss
