"""The fixed samples whose maps are drawn throughout a training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_warn
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset

from salreg.annotations import is_annotated
from salreg.callbacks.constant_columns import constant_columns
from salreg.callbacks.monitoring import Chunk
from salreg.callbacks.reading import Reading
from salreg.callbacks.targets import Target, find_target
from salreg.data import AnnotatedBatch, AnnotatedSample, annotations_by_input
from salreg.random_state import random_state_kept
from salreg.taps import tensors_in

_CANDIDATES_PER_SAMPLE = 16


@dataclass
class Panel:
    """The fixed samples.

    Attributes:
        samples: They, as they come out of the module's batch hooks.
        step: Name of the module's step that takes such batches.
        constant: The columns ``(F,)`` of a table that hold one value in all candidates: whatever the gradient there, the model
            cannot have used them. None where there is no such column.
    """

    samples: Chunk
    step: str
    constant: Tensor | None = None

    def find_target(self, key: Target, reading: Reading | None) -> None:
        """Look for the true classes again, now that the loss says which of the batch's tensors they are."""
        if self.samples.target is None:
            self.samples = replace(self.samples, target=find_target(self.samples.sample, key, reading))

    def state_dict(self) -> dict[str, Any]:
        held = {field.name: getattr(self.samples, field.name) for field in fields(self.samples) if field.name != "prepare"}
        return {"samples": held, "step": self.step, "constant": self.constant}

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> "Panel":
        """The same samples; the hook that prepares them is the module's, and not kept."""
        return cls(Chunk(**state["samples"]), state["step"], state.get("constant"))


def choose_panel(
    trainer: pl.Trainer, module: pl.LightningModule, size: int, target: Target, input: str | None = None
) -> Panel | None:
    """A panel of at most ``size`` samples: annotated ones first, spread over the classes.

    Taken from the validation data where they are annotated, of all loaders that give such samples, otherwise from the training
    data, and passed through the module's batch hooks. None if neither comes from a map-style ``AnnotatedDataset``: what a
    stream, or several loaders at once, put together is known when it comes (``panel_of``).

    Args:
        trainer: Holds the data.
        module: Holds the hooks.
        size: How many samples, at most.
        target: Where the true classes are, see ``find_target``.
        input: The name of the annotated input, where there are several.
    """
    in_turn = getattr(trainer.fit_loop.epoch_loop.val_loop._combined_loader, "_mode", "sequential") == "sequential"
    alone = isinstance(trainer.train_dataloader, DataLoader)
    for loaders, step in (
        (tree_leaves(trainer.val_dataloaders) if in_turn else [], "validation_step"),
        ([trainer.train_dataloader] if alone else [], "training_step"),
    ):
        with random_state_kept():
            annotated = [one for one in loaders if isinstance(one, DataLoader) and _is_annotated(one.dataset)]
            if annotated:
                return panel_of(_candidates(annotated, module, size), step, size, target, input)
    return None


def panel_of(candidates: AnnotatedBatch, step: str, size: int, target: Target, input: str | None = None) -> Panel:
    """The panel among the samples of a batch, which has been through the module's batch hooks."""
    every = Chunk.whole(candidates, target, input)
    classes = every.target
    if classes is None:  # any numbers will do to choose by; what is called the target is certain, or found later
        numbers = [tensor for tensor in tensors_in(every.sample) if tensor.ndim == 1 and not tensor.is_floating_point()]
        classes = numbers[0] if numbers and len(numbers[0]) == len(every) else None
    return Panel(every[spread_over_classes(is_annotated(every.annotation), classes, size)], step, _constant(every))


def has_marks(batch: Any, input: str | None = None) -> bool:
    """Whether anything is marked in a batch."""
    if not isinstance(batch, AnnotatedBatch):
        return False
    return any(bool(is_annotated(one).any()) for one in annotations_by_input(batch.annotation, input).values())


def of_dataset(trainer: pl.Trainer, *attributes: str) -> Any:
    """The first of these attributes that the dataset behind the training's loader has, however it is wrapped: ``classes``, as
    torchvision's datasets name them, a text's ``vocabulary``, a table's ``columns``. None if there is none."""
    held = (getattr(dataset, name, None) for dataset in training_sets(trainer) for name in attributes)
    return next((one for one in held if one is not None), None)


def training_sets(trainer: pl.Trainer) -> Iterator[Any]:
    """The dataset behind the training's loader, and those that it wraps, from the outside in."""
    dataset = getattr(trainer.train_dataloader, "dataset", None)
    while dataset is not None:
        yield dataset
        dataset = getattr(dataset, "base", None) or getattr(dataset, "dataset", None)


def _is_annotated(dataset: Any) -> bool:
    """Whether its samples carry annotations, also behind a Subset or a ConcatDataset."""
    return not isinstance(dataset, IterableDataset) and len(dataset) > 0 and isinstance(dataset[0], AnnotatedSample)


def _candidates(loaders: Sequence[DataLoader[Any]], module: pl.LightningModule, size: int) -> AnnotatedBatch:
    """Some samples of these loaders' data, as a batch; of the first loader's alone where they do not go together."""
    data: Dataset[Any] = loaders[0].dataset if len(loaders) == 1 else ConcatDataset([loader.dataset for loader in loaders])
    length = len(data)  # type: ignore[arg-type]
    order = torch.randperm(length, generator=torch.Generator().manual_seed(0))[: size * _CANDIDATES_PER_SAMPLE]
    try:
        batch = loaders[0].collate_fn([data[int(index)] for index in order])
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        if len(loaders) == 1:
            raise
        rank_zero_warn(
            "Snapshots show only the first validation loader: its samples and those of the others do not collate to a batch "
            f"({error})."
        )
        return _candidates(loaders[:1], module, size)
    batch = module._apply_batch_transfer_handler(module._on_before_batch_transfer(batch))
    assert isinstance(batch, AnnotatedBatch)
    return batch


def _constant(candidates: Chunk) -> Tensor | None:
    if candidates.annotation.ndim != 2:
        return None
    try:
        return constant_columns(candidates.given)
    except RuntimeError:  # there is nothing to draw, which the snapshots say
        return None


def spread_over_classes(annotated: Tensor, classes: Tensor | None, size: int) -> list[int]:
    """Indices of ``size`` candidates: annotated before others, and among each the classes in turn.

    Example:
        >>> spread_over_classes(torch.tensor([False, True, True, True]), torch.tensor([0, 0, 0, 1]), 3)
        [1, 3, 2]
    """
    label = classes.long().tolist() if classes is not None and classes.ndim == 1 else [0] * len(annotated)
    turns: dict[tuple[bool, int], int] = {}
    keys = []
    for index, known in enumerate(annotated.tolist()):
        turn = turns[known, label[index]] = turns.get((known, label[index]), -1) + 1
        keys.append((not known, turn, label[index], index))
    return [index for *_, index in sorted(keys)[:size]]
