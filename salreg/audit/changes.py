"""Compares predictions on changed samples with those on the original samples."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from salreg.audit.findings import Change
from salreg.audit.intervals import Bootstrap
from salreg.audit.pairs import Candidate
from salreg.audit.predicting import Predictor


class Seen(NamedTuple):
    """Predicted classes ``(M,)`` and the probability of the positive class ``(M,)``."""

    classes: Tensor
    positive: Tensor

    def some(self, rows: Sequence[int]) -> "Seen":
        """Of some samples."""
        return Seen(self.classes[list(rows)], self.positive[list(rows)])

    def of(self, row: int) -> tuple[int, float]:
        """Of one."""
        return int(self.classes[row]), float(self.positive[row])


class Changes:
    """Compares predictions, and keeps the counterfactuals.

    Args:
        predictor: The model.
        samples: The N original texts, or rows ``(N, F)``.
        target: True classes ``(N,)``.
        positive: The class whose probability is tracked.
        bootstrap: The bootstrap over the N samples.
        classes: The names of the classes; by default their numbers.

    Attributes:
        names: The names of the classes.
        before: The predictions for the original samples.
        candidates: The counterfactuals collected so far.

    Raises:
        ValueError: The model has a different number of classes, or a label or the positive class is not one of them.
    """

    def __init__(
        self,
        predictor: Predictor,
        samples: Any,
        target: Tensor,
        positive: int,
        bootstrap: Bootstrap,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.predictor, self.samples, self.target = predictor, samples, target
        self.positive, self.bootstrap = positive, bootstrap
        self.before = predictor(samples)
        self.names = self._class_names(classes)
        self.own = Seen(self.before.classes, self.before.probability[:, positive])
        self.candidates: list[Candidate] = []

    def predicted(self, samples: Any) -> Seen:
        """The predictions for changed samples."""
        if not len(samples):
            return Seen(torch.zeros(0, dtype=torch.long), torch.zeros(0))
        found = self.predictor(samples)
        return Seen(found.classes, found.probability[:, self.positive])

    def compared(self, rows: Sequence[int], after: Seen, control: Seen | None, before: Seen | None = None) -> Change:
        """The effect of a change.

        Args:
            rows: The original sample of each of the M changed ones; a sample may occur several times.
            after: The predictions for the changed samples.
            control: The predictions for samples with random changes.
            before: The predictions they are compared with; by default those for the original samples.
        """
        before = before or self.own.some(rows)
        changed, shift = before.classes != after.classes, after.positive - before.positive
        wholes = self._by_sample(rows, torch.ones(len(rows)))
        share = self.bootstrap.ratio(self._by_sample(rows, changed), wholes)
        random = None
        if control is not None:
            random = self.bootstrap.ratio(self._by_sample(rows, before.classes != control.classes), wholes)
        return Change(share, self.bootstrap.ratio(self._by_sample(rows, shift), wholes, share=False), random)

    def note(
        self, axis: str, kind: str, rows: Sequence[int], written: Sequence[str], after: Seen, change: Sequence[str]
    ) -> None:
        """Keep counterfactuals of texts."""
        self.candidates += [
            Candidate(axis, kind, change[turn], row, self.samples[row], written[turn], self.own.of(row), after.of(turn))
            for turn, row in enumerate(rows)
        ]

    def _by_sample(self, rows: Sequence[int], values: Tensor) -> Tensor:
        return torch.zeros(self.bootstrap.samples).index_add_(0, torch.tensor(list(rows), dtype=torch.long), values.float())

    def _class_names(self, classes: Sequence[str] | None) -> list[str]:
        count = self.before.probability.shape[1]
        names = [str(one) for one in (classes or range(count))]
        if len(names) != count:
            raise ValueError(f"The model has {count} classes, but {len(names)} have names: {', '.join(names)}.")
        if not 0 <= self.positive < count:
            raise ValueError(f"positive must be a class from 0 to {count - 1}, not {self.positive}.")
        if int(self.target.min()) < 0 or int(self.target.max()) >= count:
            raise ValueError(
                f"The labels go from {int(self.target.min())} to {int(self.target.max())}, but the model has {count} classes."
            )
        return names

    @staticmethod
    def repeated(seen: Seen, times: int) -> Seen:
        """The same several times, one after the other."""
        return Seen(seen.classes.repeat(times), seen.positive.repeat(times))

    @staticmethod
    def joined(seen: Sequence[Seen]) -> Seen:
        """Several, one after the other."""
        return Seen(torch.cat([one.classes for one in seen]), torch.cat([one.positive for one in seen]))
