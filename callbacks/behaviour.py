"""Measures how a model reacts when the spurious feature is exchanged, removed and inserted."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_warn
from torch import Tensor

from salreg.callbacks.monitoring import Chunk, in_step, run
from salreg.callbacks.predictions import ABSENT, Predictions, filled, joined, predicted
from salreg.callbacks.replay import Replay
from salreg.distributed import accumulation_dtype, sum_over_ranks
from salreg.interventions import Intervention
from salreg.interventions.changed_batch import WithPresence
from salreg.metrics import AccuracyUnderIntervention, ConstantPredictions, RegressionReliance, Reliance
from salreg.metrics.functional.predictions import NO_CLASS
from salreg.metrics.regression import spread_of


class Behaviour:
    """Three kinds of reliance, the accuracy under intervention, and whether predictions are constant, over some batches.

    ``reliance_content``: of the samples that have the feature, the share whose prediction changes with another sample's
    content; ``reliance_removal``: the share whose prediction changes when the feature is removed; ``reliance_insertion``: of
    the samples that somebody looked at and that lack it, the share whose prediction changes when another sample's feature is
    inserted. ``reliance`` is the largest of them. For a regression it is how far the output moves, in units of its spread over
    the samples, which is then included as ``output_spread``. Donors come from these batches; the training's random state is not
    affected.

    If a model returns logits for many tokens, each unmarked labelled token counts instead of each sample; for answers, each
    start and end counts.

    Args:
        across_ranks: Whether every process measures a part of the data and all compute the result together.
    """

    def __init__(self, across_ranks: bool = True) -> None:
        self._across_ranks = across_ranks
        self._reliance = {kind: Reliance(sync_on_compute=across_ranks) for kind in ("content", "removal", "insertion")}
        self._moved = {kind: RegressionReliance(sync_on_compute=across_ranks) for kind in self._reliance}
        self._accuracy = AccuracyUnderIntervention(sync_on_compute=across_ranks)
        self._constant = ConstantPredictions(sync_on_compute=across_ranks)
        self._intervention = Intervention()
        self._waiting: list[tuple[_Seen, Tensor]] = []  # samples, and which of them somebody looked at

    def reset(self, device: torch.device) -> None:
        """Reset, so that the same batches give the same numbers again."""
        for moved in self._moved.values():
            moved.set_dtype(accumulation_dtype(device))
        for metric in (*self._reliance.values(), *self._moved.values(), self._accuracy, self._constant):
            metric.to(device).reset()
        self._waiting = []
        self.draw(0)

    def draw(self, seed: int) -> None:
        """From here on, draw different donors, without those seen before."""
        self._intervention = Intervention(seed=seed)

    def update(self, replay: Replay, samples: Chunk, before: Predictions, size: int) -> None:
        """Add samples.

        Args:
            replay: The step of a module in eval mode.
            samples: The samples, on the module's device.
            before: The module's predictions for them.
            size: The number of samples that go through the network at once.
        """
        self._intervention.adapt_to(replay.module)
        if before.output is None:
            there = before.classes != ABSENT
            self._constant.update(before.classes[there], None if before.target is None else before.target[there])
        new = _Seen(samples, before)
        several = [new]
        if self._waiting and bool(new.marked.any()):
            several += [seen for seen, _ in self._waiting]
            self._waiting = []
        self._measure(replay, True, several, size)
        self._measure(replay, False, [new], size)

    def _measure(self, replay: Replay, present: bool, several: Sequence["_Seen"], size: int) -> None:
        """Compare predictions with those for the same samples with the feature, or without it."""
        try:
            made = [self._with_presence(present, one.samples) for one in several]
        except ValueError as error:
            names = "reliance_content and reliance_insertion" if present else "reliance_removal"
            rank_zero_warn(f"No {names} is measured, because an intervention on the samples failed: {error}")
            return
        rows = [one.done.nonzero().flatten() for one in made]
        changed = [
            seen.samples.changed(one.sample, one.annotation)[chosen.tolist()]
            for seen, one, chosen in zip(several, made, rows, strict=True)
        ]
        found = iter(list(_predicted(replay, changed, several[0].samples, size)))
        for seen, one, chosen in zip(several, made, rows, strict=True):
            own: list[Predictions] = []  # no forward pass is of samples from two batches
            while sum(len(part.classes) for part in own) < len(chosen):
                own.append(next(found))
            after = joined(own) if own else None
            if present and self._waits(seen, one, size):
                self._waiting.append((seen, one.looked_at))
            else:
                self._compare(seen, present, after, chosen, one.looked_at, one.done)

    def _with_presence(self, present: bool, samples: Chunk) -> WithPresence:
        return self._intervention.with_presence(present, samples.sample, samples.annotation, samples.looked_at, samples.given)

    def _waits(self, seen: "_Seen", made: WithPresence, size: int) -> bool:
        """Whether samples came before any with the feature; some are kept until there is one."""
        early = bool(made.looked_at.any()) and not bool(made.done.any()) and not bool(seen.marked.any())
        return early and sum(len(one.samples) for one, _ in self._waiting) < size

    def _compare(
        self, seen: "_Seen", present: bool, after: Predictions | None, rows: Tensor, looked_at: Tensor, done: Tensor
    ) -> None:
        marked, before = seen.marked, seen.before
        kinds = {"content": marked, "insertion": ~marked} if present else {"removal": marked}
        of_kind = {kind: done & which for kind, which in kinds.items()}
        if before.output is not None:
            self._compare_outputs(before.output, after, rows, of_kind)
            return
        cases = _Cases(before, after, rows)
        self._compare_classes(cases, of_kind)
        if before.target is not None:
            known = [cases.of(one) for one in (marked, looked_at, done)]
            self._accuracy.update(cases.after, before.target[cases.both], present, *known)

    def _compare_outputs(self, before: Tensor, after: Predictions | None, rows: Tensor, of_kind: dict[str, Tensor]) -> None:
        outputs = before.clone()
        if after is not None and after.output is not None:
            outputs[rows] = after.output
        for kind, which in of_kind.items():
            self._moved[kind].update(before, outputs, which)

    def _compare_classes(self, cases: "_Cases", of_kind: dict[str, Tensor]) -> None:
        for kind, which in of_kind.items():
            self._reliance[kind].update(cases.before, cases.after, cases.of(which))

    def compute(self) -> dict[str, Tensor]:
        """The numbers by name, without those that could not be measured; NaN, with a warning, if the model outputs NaN."""
        for seen, looked_at in self._waiting:  # in vain
            nothing = torch.zeros_like(looked_at)
            self._compare(seen, True, None, nothing.nonzero().flatten(), looked_at, nothing)
        self._waiting = []
        every: list[tuple[str, Reliance | RegressionReliance]] = [*self._reliance.items(), *self._moved.items()]
        kinds = {name: metric.compute() for name, metric in every if self._sum(metric.counted)}
        values = {f"reliance_{name}": value for name, value in kinds.items()}
        if kinds:
            values["reliance"] = torch.stack(list(kinds.values())).max()
            if values["reliance"].isnan():
                rank_zero_warn("Reliance is NaN, because the model's output is NaN for some of the samples.")
        spread = self._spread()
        if spread is not None:
            values["output_spread"] = spread
            values["constant_predictions"] = (spread == 0).float()
        if AccuracyUnderIntervention.is_measured(self._sum(self._accuracy.asked), self._sum(self._accuracy.counted)):
            values["accuracy_under_intervention"] = self._accuracy.compute()
        if self._sum(self._constant.predicted).any():
            values["constant_predictions"] = self._constant.compute()
        return values

    def _spread(self) -> Tensor | None:
        """The standard deviation of a regression's output, averaged over several outputs; None for classes."""
        metric = self._moved["content"]  # each of them saw all outputs
        seen, total, squares = (self._sum(one) for one in (metric.seen, metric.total, metric.squares))
        if not seen:
            return None
        spreads = spread_of(seen, total, squares)
        return spreads[spreads != 0].mean().float() if spreads.any() else spreads.new_zeros(()).float()

    def _sum(self, value: Tensor) -> Tensor:
        return sum_over_ranks(value) if self._across_ranks else value


class _Seen(NamedTuple):
    """Some samples, and the predictions for them."""

    samples: Chunk
    before: Predictions

    @property
    def marked(self) -> Tensor:
        return self.samples.annotation.flatten(1).amin(1) < 0


class _Cases:
    """The cases of some samples that are there before and after an intervention, one after the other.

    Args:
        before: Of all samples.
        after: Of those that were changed; None where there is none.
        rows: Which these are.
    """

    def __init__(self, before: Predictions, after: Predictions | None, rows: Tensor) -> None:
        now = torch.full_like(before.classes, NO_CLASS)
        if after is not None:
            width = now.shape[1]
            now[rows] = filled(after.classes, max(width, after.classes.shape[1]))[:, :width]
        self.both = (before.classes != ABSENT) & (now != ABSENT)  # a text that grew may have lost its last words
        self.before, self.after = before.classes[self.both], now[self.both]

    def of(self, samples: Tensor) -> Tensor:
        """What is so of samples ``(B,)``, for each of their cases."""
        return samples.unsqueeze(1).expand_as(self.both)[self.both]


def _predicted(replay: Replay, changed: Sequence[Chunk], samples: Chunk, size: int) -> Iterator[Predictions]:
    with torch.no_grad():
        pieces = (piece for one in changed if len(one) for piece in one.pieces(size))
        for piece, counts in in_step(pieces, samples, replay.module, size):
            prediction = predicted(run(replay, piece), piece)
            if counts:
                yield prediction
