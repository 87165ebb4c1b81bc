"""What a model does when the spurious thing is exchanged, taken away, and put in."""

from collections.abc import Iterator

import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_warn
from torch import Tensor

from salreg.callbacks.monitoring import Chunk, run
from salreg.callbacks.predictions import ABSENT, Predictions, filled, joined, predicted
from salreg.callbacks.replay import Replay
from salreg.distributed import sum_over_ranks
from salreg.interventions import Intervention
from salreg.interventions.beside import keys_of_decoder
from salreg.metrics import AccuracyUnderIntervention, ConstantPredictions, Reliance
from salreg.metrics.functional.predictions import NO_CLASS


class Behaviour:
    """Three kinds of reliance, the accuracy under intervention, and whether predictions are constant, over some batches.

    ``reliance_content``: of the samples that have the thing, the share whose prediction changes with another one's content in
    its place; ``reliance_removal``: when the thing is taken away; ``reliance_insertion``: of the samples that somebody looked
    at and that have none, the share whose prediction changes when another one's thing is put in. ``reliance`` is the worst of
    them. Donors come from these batches; the training's random state does not notice.

    Where a model gives logits for many tokens, each labelled one that is not marked counts instead of each sample, and of an
    answer its start and its end.

    Args:
        across_ranks: Whether every process measures a part of the data, and all compute together.
    """

    def __init__(self, across_ranks: bool = True) -> None:
        self._across_ranks = across_ranks
        self._reliance = {kind: Reliance(sync_on_compute=across_ranks) for kind in ("content", "removal", "insertion")}
        self._accuracy = AccuracyUnderIntervention(sync_on_compute=across_ranks)
        self._constant = ConstantPredictions(sync_on_compute=across_ranks)
        self._intervention = Intervention()

    def reset(self, device: torch.device) -> None:
        """Start anew: the same batches give the same numbers."""
        for metric in (*self._reliance.values(), self._accuracy, self._constant):
            metric.to(device).reset()
        self.draw(0)

    def draw(self, seed: int) -> None:
        """Draw other donors from here on, none of which was seen before."""
        self._intervention = Intervention(seed=seed)

    def update(self, replay: Replay, samples: Chunk, before: Predictions, size: int) -> None:
        """Take in samples.

        Args:
            replay: The step of a module in eval mode.
            samples: On the module's device.
            before: What it predicts for them.
            size: How many samples go through the network at once.
        """
        self._intervention.fixed = keys_of_decoder(replay.module)
        there = before.classes != ABSENT
        self._constant.update(before.classes[there], None if before.target is None else before.target[there])
        marked = samples.annotation.flatten(1).amin(1) < 0
        for present, kinds in ((True, {"content": marked, "insertion": ~marked}), (False, {"removal": marked})):
            try:
                made = self._intervention.with_presence(
                    present, samples.sample, samples.annotation, samples.looked_at, samples.given
                )
            except ValueError as error:
                names = " and ".join(f"reliance_{kind}" for kind in kinds)
                rank_zero_warn(f"No {names} is measured, because an intervention on the samples fails: {error}")
                continue
            after = torch.full_like(before.classes, NO_CLASS)
            rows = made.done.nonzero().flatten()
            if len(rows):
                seen = joined(list(_seen(replay, samples.changed(made.sample, made.annotation)[rows.tolist()], size))).classes
                width = after.shape[1]
                after[rows] = filled(seen, max(width, seen.shape[1]))[:, :width]
            both = there & (after != ABSENT)  # a text that grew may have lost its last words

            def by_case(which: Tensor, both: Tensor = both) -> Tensor:
                return which.unsqueeze(1).expand_as(both)[both]

            for kind, which in kinds.items():
                self._reliance[kind].update(before.classes[both], after[both], by_case(made.done & which))
            if before.target is not None:
                cases = [by_case(one) for one in (marked, made.looked_at, made.done)]
                self._accuracy.update(after[both], before.target[both], present, *cases)

    def compute(self) -> dict[str, Tensor]:
        """The numbers by name, without what could not be measured. NaN, which is said, where the model puts out NaN."""
        kinds = {name: metric.compute() for name, metric in self._reliance.items() if self._sum(metric.counted)}
        values = {f"reliance_{name}": value for name, value in kinds.items()}
        if kinds:
            values["reliance"] = torch.stack(list(kinds.values())).max()
            if values["reliance"].isnan():
                rank_zero_warn("Reliance is NaN, because the model puts out NaN for some of the samples.")
        if AccuracyUnderIntervention.is_measured(self._sum(self._accuracy.asked), self._sum(self._accuracy.counted)):
            values["accuracy_under_intervention"] = self._accuracy.compute()
        if self._sum(self._constant.predicted).any():
            values["constant_predictions"] = self._constant.compute()
        return values

    def _sum(self, value: Tensor) -> Tensor:
        return sum_over_ranks(value) if self._across_ranks else value


def _seen(replay: Replay, samples: Chunk, size: int) -> Iterator[Predictions]:
    with torch.no_grad():
        for piece in samples.pieces(size):
            yield predicted(run(replay, piece), piece)
