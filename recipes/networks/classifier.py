"""An ordinary Lightning classifier. It knows nothing about saliency, which the callbacks add."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics import MeanMetric, Metric
from torchmetrics.classification import MulticlassAccuracy

from salreg.metrics import WorstGroupAccuracy
from salreg.recipes.networks.adamw import AdamWModule

Batch = tuple[Tensor, Tensor, Tensor]


class Classifier(AdamWModule):
    """A classifier with cross-entropy and AdamW; it logs the accuracy of each and of the worst group. Batches are
    ``(inputs, labels, groups)``.

    Args:
        net: The network, which returns logits.
        groups: The names of the groups.
        classes: The number of classes.
        balance: The labels of the training data, if all classes should count equally in the training loss.
        **optimizer: The arguments of ``AdamWModule``.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        net: nn.Module,
        groups: Sequence[str],
        classes: int = 10,
        *,
        balance: Sequence[int] | None = None,
        **optimizer: Any,
    ) -> None:
        super().__init__(**optimizer)
        self.net, self.groups = net, list(groups)
        weights = None if balance is None else _inverse_frequencies(balance, classes)
        self.register_buffer("class_weights", weights, persistent=False)
        self.accuracy = nn.ModuleDict(
            {f"{stage}_accuracy": MulticlassAccuracy(classes, average="micro") for stage in ("train", "val", "test")}
        )
        self.worst_group = WorstGroupAccuracy(len(groups))
        self.by_group = nn.ModuleDict({_key(name): MeanMetric(nan_strategy="ignore") for name in groups})

    def forward(self, inputs: Tensor) -> Tensor:
        return self.net(inputs)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        inputs, labels, _ = batch
        return self._evaluated("train", self(inputs), labels)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        inputs, labels, _ = batch
        self._evaluated("val", self(inputs), labels)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        inputs, labels, groups = batch
        logits = self(inputs)
        self._evaluated("test", logits, labels)
        self.test_groups(logits, labels, groups)

    def test_groups(self, logits: Tensor, labels: Tensor, groups: Tensor) -> None:
        """Log the metrics that are measured by group."""
        self.worst_group.update(logits, labels, groups)
        self.log("test/worst_group_accuracy", self.worst_group, on_step=False, on_epoch=True)
        correct = (logits.argmax(1) == labels).float()
        for number, (key, metric) in enumerate(self.by_group.items()):
            cast(MeanMetric, metric).update(correct[groups == number])
            self.log(f"test/{key}", cast(Metric, metric), on_step=False, on_epoch=True)

    def _evaluated(self, stage: str, logits: Tensor, labels: Tensor) -> Tensor:
        loss = cross_entropy(logits, labels, self.class_weights if stage == "train" else None)
        accuracy = self.accuracy[f"{stage}_accuracy"]
        accuracy(logits, labels)
        self.log(f"{stage}/loss", loss, on_step=False, on_epoch=True)
        self.log(f"{stage}/accuracy", cast(Metric, accuracy), on_step=False, on_epoch=True, prog_bar=stage != "test")
        return loss


def _inverse_frequencies(labels: Sequence[int], classes: int) -> Tensor:
    """A weight for each class, with mean 1 over the labels; the weight of a class without labels does not matter."""
    counts = torch.bincount(torch.as_tensor(labels), minlength=classes).clamp(min=1)
    return len(labels) / classes / counts


def _key(group: str) -> str:
    return "accuracy_" + group.replace(" ", "_")
