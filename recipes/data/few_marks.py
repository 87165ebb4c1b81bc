"""Chooses which training samples have marks: all, a share that somebody looked at, or the others too, by carrying over."""

from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from salreg.annotations import NO_PLACE
from salreg.data import AnnotatedDataset
from salreg.propagation import propagate, propagate_words
from salreg.recipes.data.controls import controlled
from salreg.recipes.data.texts import Texts
from salreg.recipes.data.token_batches import TokenSamples


def training_marks(dataset: AnnotatedDataset, config: DictConfig) -> AnnotatedDataset:
    """The training samples with the marks that ``data.control``, ``data.marked`` and ``data.carry_over`` ask for.

    Raises:
        ValueError: ``data.control`` is unknown, or ``data.marked`` is not a share.
        PropagationError: The marks cannot be carried over.
    """
    data = config.data
    return with_few_marks(controlled(dataset, data.control, config.seed), data.marked, data.carry_over, config.seed)


def with_few_marks(dataset: AnnotatedDataset, share: float, carry_over: bool, seed: int) -> AnnotatedDataset:
    """The same samples; somebody looked at a share of them.

    Args:
        dataset: A dataset of images or texts.
        share: The share of the samples with marks, in (0, 1]; at least one sample, drawn at random.
        carry_over: Whether to carry their marks over to the others (``salreg.propagation``).
        seed: The seed for drawing the samples.

    Raises:
        ValueError: ``share`` is not in (0, 1].
        PropagationError: The marks cannot be carried over.
    """
    if not 0 < share <= 1:
        raise ValueError(f"data.marked must be a share in (0, 1], not {share}.")
    if share == 1:
        return dataset
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed)).tolist()
    few = _Few(dataset, frozenset(order[: max(1, round(share * len(dataset)))]))
    marked = AnnotatedDataset(dataset.base, few, empty=dataset.empty)
    if not carry_over:
        return marked
    base = dataset.base
    if isinstance(base, Texts | TokenSamples):
        texts = base.texts if isinstance(base, Texts) else [row["input_ids"] for row in base.rows]
        found, _ = propagate_words([text.tolist() for text in texts], [few(index) for index in range(len(texts))])
        if isinstance(base, TokenSamples):
            found = [_outside_answer(one, row) for one, row in zip(found, base.rows, strict=True)]
        return AnnotatedDataset(base, found, empty=dataset.empty)
    return AnnotatedDataset(dataset.base, propagate(marked, seed=seed).annotations, empty=dataset.empty)


def _outside_answer(annotation: Tensor, row: dict[str, Any]) -> Tensor:
    """Remove marks from the tokens that the model learns to write, if these are part of the text."""
    labels = row.get("labels")
    return (
        annotation.masked_fill(labels >= 0, NO_PLACE) if labels is not None and labels.shape == annotation.shape else annotation
    )


class _Few:
    """The annotations of the chosen samples; None where nobody looked."""

    def __init__(self, dataset: AnnotatedDataset, chosen: frozenset[int]) -> None:
        self.dataset, self.chosen = dataset, chosen

    def __call__(self, index: int, sample: object = None) -> Tensor | None:
        if index not in self.chosen:
            return None
        found = self.dataset[index]
        return found.only_annotation if found.looked_at else None
