"""What a regularizer attaches to the training step: it changes the batch, and adds the penalty to the loss."""

from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor

from salreg.annotations import is_annotated
from salreg.callbacks.aliveness import check_alive
from salreg.callbacks.injection import Injection
from salreg.callbacks.logged_numbers import LoggedNumbers
from salreg.callbacks.plan import Plan
from salreg.callbacks.reading import Reading
from salreg.callbacks.regularised_input import RegularisedInput
from salreg.callbacks.schedule import Schedule
from salreg.callbacks.targets import Target, find_target
from salreg.data import AnnotatedBatch, annotations_by_input, by_name, input_named
from salreg.distributed import sum_over_ranks, world_size
from salreg.interventions import Intervention
from salreg.interventions.inputs import annotated_input
from salreg.metrics.functional import spurious_saliency
from salreg.penalties import Penalty
from salreg.taps import Recording, WithGradient

_SKIPS_BEFORE_ERROR = 10


class Regularisation:
    """One training's interventions and penalties, by annotated input.

    Args:
        penalty: Of the first input; each other one gets a copy.
        intervention: Likewise; None where none is wanted.
        schedule: When and how strongly to penalise.
        input: The only input that is regularised, where several are annotated.
        target: Where the true classes are.
        name: Prefix of the logged keys.

    Attributes:
        injection: What was learnt of the module.
        logged: The numbers that the training logs.
    """

    def __init__(
        self,
        penalty: Penalty,
        intervention: Intervention | None,
        schedule: Schedule,
        input: str | None,
        target: Target,
        name: str,
    ) -> None:
        self.penalty, self.intervention, self.schedule = penalty, intervention, schedule
        self.input, self.target = input, target
        self.inputs: dict[str | None, RegularisedInput] = {None: RegularisedInput(penalty, intervention)}
        self.counts = {"unannotated_batches": 0, "undefined_maps": 0, "skipped_penalties": 0}
        self.injection: Injection | None = None
        self.logged = LoggedNumbers(name, schedule)
        self._counted_marks = False

    @property
    def reading(self) -> Reading | None:
        """What the training loss says of logits and targets."""
        return None if self.injection is None else self.injection.reading

    def of(self, name: str | None) -> RegularisedInput:
        """What is done to the input of that name."""
        if name not in self.inputs:  # what a penalty learns of its input, such as its spread, is of that input alone
            self.inputs[name] = RegularisedInput(deepcopy(self.penalty), deepcopy(self.intervention))
        return self.inputs[name]

    def warn_if_unmarked(self, device: torch.device) -> None:
        """Say after the first epoch if an intervention had nothing to change in it. Every process must call this."""
        if self.intervention is None or self._counted_marks:
            return
        self._counted_marks = True
        marked = sum(one.intervention.marked for one in self.inputs.values() if one.intervention is not None)
        if not sum_over_ranks(torch.tensor(float(marked), device=device)):
            rank_zero_warn(
                "No sample of the training data carries a spurious mark, so the intervention changed nothing. Mark what the "
                "model must not use (-1), and look at what some samples carry: AnnotatedDataset(...)[0].annotation."
            )

    def state_dict(self) -> dict[str, Any]:
        return {
            "steps": self.schedule.steps,
            "counts": dict(self.counts),
            "inputs": {name: one.state_dict() for name, one in self.inputs.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.schedule.steps = state["steps"]
        self.counts.update(state["counts"])
        for name, one in state["inputs"].items():
            self.of(name).load_state_dict(one)

    # What the training step calls

    @property
    def intervenes(self) -> bool:
        return self.intervention is not None

    def intervene(self, batch: AnnotatedBatch, module: pl.LightningModule) -> AnnotatedBatch:
        annotated = annotations_by_input(batch.annotation, self.input)
        looked_at = annotations_by_input(cast(Any, batch.looked_at), self.input)
        sample, changed = batch.sample, dict(annotations_by_input(batch.annotation))
        for name, annotation in annotated.items():
            given = annotated_input(sample[batch.part], annotation).tensor if batch.part is not None else None
            given = given if name is None else input_named(sample, name)
            done = self.of(name).intervene(sample, annotation, looked_at[name], given)
            sample, changed[name] = done.sample, done.annotation
            self.logged.mean_of_step(module, name, "intervened", done.changed.float())
        return replace(batch, sample=sample, annotation=by_name(changed))

    def check_unannotated(self) -> bool:
        if (self.schedule.weight > 0 or self.intervenes) and self.penalty.needed_marks != "nothing":
            needing = f"penalty ({self.penalty})" if self.schedule.weight else "intervention"
            raise RuntimeError(
                f"The {needing} needs annotations, but a training batch carries none. Wrap the training set: "
                "AnnotatedDataset(train_set, annotations); samples that nobody looked at need no annotation "
                "(annotations={})."
            )
        return self.schedule.weight > 0

    def plan(self, batch: AnnotatedBatch, module: pl.LightningModule) -> Plan | None:
        if not self.schedule.is_due():
            return None
        annotated = annotations_by_input(batch.annotation, self.input)
        penalties = {name: self.of(name).penalty for name in annotated}
        return Plan(
            layers=self.penalty.layers,
            taps=not all(
                penalties[name].method.has_separate_pass(annotation, module) for name, annotation in annotated.items()
            ),
            exact=any(penalty.method.exact for penalty in penalties.values()),
            late_terms=any(penalty.method.late_terms for penalty in penalties.values()),
            with_gradient=partial(self._with_gradient, batch),
            penalise=partial(self._penalise, batch, module),
        )

    def _with_gradient(self, batch: AnnotatedBatch, alone: bool) -> WithGradient | None:
        compiled = self.penalty.method.compiled
        if compiled is None or compiled.problem:
            return None
        if not alone or list(annotations_by_input(batch.annotation, self.input)) != [None]:
            compiled.give_up("several regularizers, or several annotated inputs, share the forward pass")
            return None
        return self.penalty.method.with_gradient(find_target(batch.sample, self.target, self.reading))

    def _penalise(self, batch: AnnotatedBatch, module: pl.LightningModule, loss: Tensor, recording: Recording) -> Tensor:
        target = self._target(batch, recording, loss)
        for name, annotation in annotations_by_input(batch.annotation, self.input).items():
            seen = recording if name is None else recording.of(input_named(batch.as_given, name))
            loss = self._penalised(loss, name, seen, target, annotation, module)
        return loss

    def _target(self, batch: AnnotatedBatch, recording: Recording, loss: Tensor) -> Tensor | None:
        """The batch's targets: what the loss says, or else what can be told from the batch."""
        reading = self.reading
        if reading is not None and self.target is None and reading.is_made_of_loss:
            target = recording.target_in(loss)
            if target is not None or reading.layout is None:
                return target
        return find_target(batch.as_given, self.target, reading, recording.require_logits())

    def _penalised(
        self,
        loss: Tensor,
        name: str | None,
        recording: Recording,
        target: Tensor | None,
        annotation: Tensor,
        module: pl.LightningModule,
    ) -> Tensor:
        """The loss with the penalty of one input added."""
        of_input, log = self.of(name), partial(self.logged.of_step, module, name)
        penalty = of_input.penalty.measure(recording, target, annotation)
        if of_input.penalty.method.decided and not of_input.announced:
            rank_zero_info(f"salreg: the penalty is differentiated by {of_input.penalty.method.decided}.")
            of_input.announced = True
        weight = self.schedule.current
        log({"weight": weight})
        if penalty.scored:
            value = _over_ranks(penalty.value.detach())
            log({"penalty": value})
            self.logged.add(name, "penalty", value, penalty.scored / world_size())
        elif penalty.undefined:
            self.logged.add(name, "penalty", penalty.value.new_tensor(float("nan")), 0)
        if not penalty.scored and not penalty.undefined and not is_annotated(penalty.annotation).any():
            log(self._counted("unannotated_batches"))
            return loss
        if penalty.saliency is not None:
            self.logged.mean_of_step(module, name, "spurious_saliency", _spurious(penalty.saliency, penalty.annotation))
        if penalty.error is not None:
            log({"fd_error": penalty.error})
        if penalty.undefined:
            log(self._counted("undefined_maps", penalty.undefined))
        of_input.notice(penalty)
        if not penalty.scored or not penalty.value.requires_grad:
            return loss
        if sum_over_ranks((~penalty.value.isfinite()).float()):
            of_input.skipped_in_a_row += 1
            self._check_skipped(of_input)
            log(self._counted("skipped_penalties"))
            return loss
        of_input.skipped_in_a_row = 0
        if not of_input.reaches_parameters and penalty.value > 0:
            check_alive(loss, penalty.value, recording, module)
            of_input.reaches_parameters = True
        of_input.compare(weight * penalty.value, loss)
        return loss + weight * penalty.value

    def _check_skipped(self, of_input: RegularisedInput) -> None:
        if of_input.skipped_in_a_row >= _SKIPS_BEFORE_ERROR:
            raise RuntimeError(
                f"The saliency penalty was NaN or infinite for {_SKIPS_BEFORE_ERROR} penalised steps in a row. Lower the "
                f"weight ({self.schedule.weight:g}) or the learning rate, look for NaN in the inputs, or train in bf16 rather "
                "than fp16."
            )

    def _counted(self, what: str, by: int = 1) -> dict[str, Any]:
        self.counts[what] += by
        return {what: float(self.counts[what])}


def _over_ranks(penalty: Tensor) -> Tensor:
    """The mean over the processes, each of which has its share of the sum."""
    return sum_over_ranks(penalty.clone()) / world_size()


def _spurious(saliency: Tensor, annotation: Tensor) -> Tensor:
    """The share of each marked sample's map on its marks, without maps that have none."""
    marked = annotation.flatten(1).lt(0).any(1)
    share = spurious_saliency(saliency.float(), annotation.float())[marked]
    return share[share.isfinite()]
