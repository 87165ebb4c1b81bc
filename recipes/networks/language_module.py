"""An ordinary Lightning module around one of Hugging Face's models. It knows nothing about saliency."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from salreg.metrics import WorstGroupAccuracy
from salreg.recipes.networks.adamw import AdamWModule

Batch = Mapping[str, Any]


class LanguageModule(AdamWModule):
    """A module with the model's own loss and AdamW; it logs numbers of each text by group. Batches hold the model's
    arguments and ``groups``.

    Args:
        net: The model, which returns a loss and logits.
        groups: The names of the groups.
        correct: A function from the model's output and the batch to booleans ``(B,)``: whether each text is answered correctly.
        tested: A function from the model and a batch to further numbers of each text ``(B,)`` by name, only for testing.
        measures: The names of these numbers.
        **optimizer: The arguments of ``AdamWModule``.
    """

    def __init__(
        self,
        net: nn.Module,
        groups: Sequence[str],
        correct: Callable[[Any, Batch], Tensor],
        tested: Callable[[Any, Batch], Mapping[str, Tensor]] = lambda net, batch: {},
        measures: Sequence[str] = (),
        **optimizer: Any,
    ) -> None:
        super().__init__(**optimizer)
        self.net = net
        self.groups = list(groups)
        self.correct, self.tested = correct, tested
        self.worst_group = WorstGroupAccuracy(len(groups))
        by_group = [f"{name}_{_key(group)}" for name in ("accuracy", *measures) for group in groups]
        self.means = nn.ModuleDict({name: MeanMetric(nan_strategy="ignore") for name in (*measures, *by_group)})

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self._evaluated("train", batch)[0]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluated("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        _, correct = self._evaluated("test", batch)
        groups = batch["groups"]
        self.worst_group.update(torch.stack([~correct, correct], 1).float(), torch.ones_like(groups), groups)
        self.log("test/worst_group_accuracy", self.worst_group, on_step=False, on_epoch=True)
        others = self.tested(self.net, batch)
        for name, values in {"accuracy": correct.float(), **others}.items():
            if name in others:
                self._note(name, values)
            for number, group in enumerate(self.groups):
                self._note(f"{name}_{_key(group)}", values[groups == number])

    def _evaluated(self, stage: str, batch: Batch) -> tuple[Tensor, Tensor]:
        output = self.net(**arguments(batch))
        correct = self.correct(output, batch)
        self.log(f"{stage}/loss", output.loss, on_step=False, on_epoch=True, batch_size=len(correct))
        self.log(
            f"{stage}/accuracy",
            correct.float().mean(),
            on_step=False,
            on_epoch=True,
            prog_bar=stage != "test",
            batch_size=len(correct),
        )
        return output.loss, correct

    def _note(self, name: str, values: Tensor) -> None:
        """Log the mean of a number over the texts of all batches."""
        metric: Any = self.means[name]
        metric.update(values)
        self.log(f"test/{name}", metric, on_step=False, on_epoch=True)


def _key(group: str) -> str:
    return group.replace(" ", "_")


def arguments(batch: Batch) -> dict[str, Tensor]:
    """What the network takes of a batch: everything but the groups."""
    return {name: value for name, value in batch.items() if name != "groups"}


def answered(output: Any, batch: Batch) -> Tensor:
    """Whether a causal model predicts every labelled token of a text from the tokens before it."""
    predicted, labels = output.logits[:, :-1].argmax(-1), batch["labels"][:, 1:]
    return ((predicted == labels) | (labels < 0)).all(1)


def located(output: Any, batch: Batch) -> Tensor:
    """Whether a model for question answering finds both the start and the end of each answer."""
    start, end = output.start_logits.argmax(1), output.end_logits.argmax(1)
    return (start == batch["start_positions"]) & (end == batch["end_positions"])


def span_f1(output: Any, batch: Batch) -> Tensor:
    """The F1 in [0, 1] of the places of each predicted and true answer, like SQuAD's F1 of words."""
    start, end = output.start_logits.argmax(1), output.end_logits.argmax(1)
    first, last = batch["start_positions"], batch["end_positions"]
    both = (torch.minimum(end, last) - torch.maximum(start, first) + 1).clamp(min=0)
    return 2 * both / ((end - start + 1).clamp(min=0) + last - first + 1)


def written(output: Any, batch: Batch) -> Tensor:
    """Whether an encoder-decoder predicts every labelled token of a text from the tokens before it."""
    labels = batch["labels"]
    return ((output.logits.argmax(-1) == labels) | (labels < 0)).all(1)
