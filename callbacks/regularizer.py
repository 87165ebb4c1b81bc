"""The callback that makes a module right for the right reasons."""

import math
from collections.abc import Mapping
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor

from salreg import presets
from salreg.annotations import is_annotated
from salreg.attributions import Attribution, MapFunction
from salreg.callbacks.aliveness import check_alive
from salreg.callbacks.base import Callback
from salreg.callbacks.injection import attach, detach
from salreg.callbacks.map_watch import MapWatch
from salreg.callbacks.plan import Plan
from salreg.callbacks.regularised_input import RegularisedInput
from salreg.callbacks.settings import check_regularizer
from salreg.callbacks.targets import Target, find_target
from salreg.data import AnnotatedBatch, annotations_by_input, by_name, input_named
from salreg.differentiation import is_compiled, reusable_graphs, sharded_parts
from salreg.distributed import sum_over_ranks, world_size
from salreg.interventions import Intervention
from salreg.interventions.beside import keys_of_decoder
from salreg.interventions.inputs import annotated_input
from salreg.losses import AttributionLoss
from salreg.metrics.functional import spurious_saliency
from salreg.penalties import Penalty, SaliencyPenalty
from salreg.penalties.saliency import Differentiation
from salreg.taps import Recording, WithSlope, check_layers

_SKIPS_BEFORE_ERROR = 10
_UNSUPPORTED = ("FSDPStrategy", "DeepSpeedStrategy")


class SaliencyRegularizer(Callback):
    """Frees an unmodified LightningModule from what is marked as spurious.

    The training data comes from an ``AnnotatedDataset``; the module's own steps and batch hooks see plain samples. Two things
    are done, each at will:

    - The *intervention*, on by default: each training step runs on samples in which what is marked tells nothing of the label.
      The marked region shows another sample's content; and where some of the samples that somebody looked at have the thing and
      others do not, it is drawn whether it is there (``salreg.interventions.Intervention``). It costs next to nothing and needs
      no second derivative. Validation and testing see the samples as they are.
    - A *penalty*, where one is chosen or has a weight: the step's forward pass is observed, a loss is made from its saliency
      map and the annotations, and ``weight * penalty`` is added to the loss that ``training_step`` returns (automatic
      optimization), or to the first ``manual_backward`` after the forward pass (manual optimization). It sees the samples
      that the step sees.

    A batch of which nobody looked at anything, and any step at weight 0 without an intervention, runs untouched.

    Logged at every step: ``salreg/intervened`` (the share of samples that were changed), and of a penalty ``salreg/penalty``,
    ``salreg/weight``, ``salreg/spurious_saliency`` (share of absolute saliency on spurious marks); and, once they occur,
    ``salreg/unannotated_batches``, ``salreg/undefined_maps`` and ``salreg/skipped_penalties`` (counts so far). Without a
    penalty the map and the loss are measured on up to 32 marked samples as they are, in eval mode, as often as the Trainer
    logs.

    Args:
        attribution: The saliency to regularise: ``"input_gradient"`` or another name from ``salreg.attributions``, an object
            such as ``GradCAM(layer="net.4")``, or a function ``(model, inputs, target) -> map``. Layer names are the
            LightningModule's.
        loss: ``"rrr"``, ``"energy"``, or another name from ``salreg.losses``, or an ``AttributionLoss``.
        weight: How strongly the penalty counts. By default 0, so that the intervention is all; where an attribution, a loss, a
            preset or another option of the penalty is given, or ``intervene=False``, 100 for squared input gradients
            (``"input_gradient"`` and ``"rrr"``) and 1 for all else. Gradients are measured per
            standard deviation of the input, so that the scale of the data does not matter. Beside ``intervene=False``, 0 trains
            exactly as without the callback.
        intervene: ``True``, ``False``, an ``Intervention``, or its arguments by name (``{"presence": 0.5}``). By default
            True, and False with a preset, which stands for a published method. Of several regularizers the first that
            intervenes does.
        every_n_steps: Penalise every n-th step only, with n times the weight.
        warmup_steps: Raise the weight from 0 linearly over so many steps.
        differentiation: How the gradient of the saliency is taken: ``"exact"``, ``"finite_difference"``, or ``"auto"``, which
            is exact wherever that is possible; see ``SaliencyPenalty``.
        max_rows: Make the penalty from at most so many annotated samples of a batch.
        compile: Compile the network's forward pass and the gradient at its input as one graph. The first penalised step runs
            uncompiled, the second compiles, which takes up to minutes. A network that cannot be one graph, that reads token
            numbers, or whose pass several regularizers share, runs uncompiled after a warning that says why.
        input: Of several annotated inputs, the name of the one that is penalised; by default each is, in units of its own, and
            logged as ``salreg/<input>/penalty`` and so on.
        forward_module: Name of the module whose output is the logits (``""``: the LightningModule itself). Needed only where
            several modules return something that may be the logits, as with two heads; the error then names them.
        embedding: Name of the module that embeds token numbers ``(B, T)``. Needed only where that is no ``nn.Embedding`` which
            receives them as they are.
        target: Key or position of the true classes in the batch. By default what the training loss compares the logits with, as
            its graph says.
        preset: A published penalty in place of ``attribution`` and ``loss``, and of the intervention: a name from
            ``salreg.presets`` such as ``"cdep"``, a mapping with its options (``{"name": "hint", "layer": "net.4"}``), or a
            ``Penalty``.
        name: Prefix of the logged keys; give each regularizer of one Trainer its own.

    Raises:
        DeadPenaltyError: The penalty cannot change the model (on the first step on which it could), or the maps of the first 32
            annotated samples are all undefined.
        RuntimeError: The logits cannot be told, or the batch's pixels do not reach them; an operator has no second derivative;
            the penalty was not finite for 10 penalised steps in a row. The message names the remedy.
        TypeError: ``intervene`` is something else.
        ValueError: An unknown name, a layer that does not exist, an annotation that fits no input of the batch, or not the map;
            an input that cannot be changed, such as an image of integers.

    Example:
        >>> trainer = pl.Trainer(callbacks=[SaliencyRegularizer()], max_epochs=1, logger=False)

    Source: Teso & Kersting 2019 (CAIPI) for counterexamples, which stand in place of the samples here; Ross, Hughes &
    Doshi-Velez 2017 for the default attribution and loss.
    """

    def __init__(
        self,
        attribution: str | MapFunction | Attribution = "input_gradient",
        loss: str | AttributionLoss = "rrr",
        weight: float | None = None,
        *,
        intervene: bool | Intervention | dict[str, Any] | None = None,
        preset: str | Penalty | dict[str, Any] | None = None,
        every_n_steps: int = 1,
        warmup_steps: int = 0,
        differentiation: Differentiation = "auto",
        max_rows: int | None = None,
        compile: bool = False,
        input: str | None = None,
        forward_module: str | None = None,
        embedding: str | None = None,
        target: Target = None,
        name: str = "salreg",
    ) -> None:
        check_regularizer(locals())
        of_penalty = (attribution, loss, every_n_steps, warmup_steps, differentiation, max_rows, compile)
        chosen = preset is not None or of_penalty != ("input_gradient", "rrr", 1, 0, "auto", None, False)
        self.intervention = _intervention(preset is None if intervene is None else intervene)
        if every_n_steps < 1 or warmup_steps < 0:
            raise ValueError(f"every_n_steps ({every_n_steps}) starts at 1 and warmup_steps ({warmup_steps}) at 0.")
        if preset is not None and (attribution, loss) != ("input_gradient", "rrr"):
            raise ValueError("A preset brings its own attribution and loss: give preset=... or attribution=... and loss=...")
        self.penalty = SaliencyPenalty(attribution, loss) if preset is None else presets.resolve(preset)
        if weight is None:
            wanted = chosen or self.intervention is None
            usual = self.penalty.usual_weight if preset is None else 1.0  # as published
            weight = usual if wanted else 0.0
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"weight is a finite number of at least 0, not {weight}.")
        of_differentiation = (differentiation, max_rows, compile)
        if isinstance(self.penalty, SaliencyPenalty) and of_differentiation != ("auto", None, False):
            self.penalty.differentiate(*of_differentiation)
        elif of_differentiation != ("auto", None, False):
            raise ValueError(
                f"differentiation, max_rows and compile are for penalties made of a saliency map, not for {self.penalty}."
            )
        self.weight = weight
        self.every_n_steps = every_n_steps
        self.warmup_steps = warmup_steps
        self.input = input
        self.forward_module = forward_module
        self.embedding = embedding
        self.target = target
        self.name = name
        self._while_fitting = ExitStack()
        self._fresh = self.penalty, self.intervention
        self._start_anew()

    def _start_anew(self) -> None:
        """Forget what an earlier training has taught."""
        self.penalty, self.intervention = self._fresh
        self._fresh = deepcopy(self._fresh)
        self._has_ended = False
        self._steps = 0
        self._of_input: dict[str | None, RegularisedInput] = {None: RegularisedInput(self.penalty, self.intervention)}
        watched = self.penalty if isinstance(self.penalty, SaliencyPenalty) else None
        self._map_watch = None if watched is None else MapWatch(watched, self.target, self.input)
        self._counts = {"unannotated_batches": 0, "undefined_maps": 0, "skipped_penalties": 0}

    # What Lightning calls

    @property
    def state_key(self) -> str:
        return self._generate_state_key(name=self.name)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "fit" and type(trainer.strategy).__name__ in _UNSUPPORTED:
            raise RuntimeError(
                f"SaliencyRegularizer does not support {type(trainer.strategy).__name__}: sharded parameters are gone when "
                "the saliency is differentiated a second time. Use ModelParallelStrategy (FSDP2), DDP or one device."
            )
        if stage == "fit" and self._has_ended:
            self._start_anew()
        self._injection = attach(
            pl_module, self, forward_module=self.forward_module, embedding=self.embedding, regularizer=self
        )

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        check_layers(
            pl_module, [*self.penalty.layers, *(name for name in (self.forward_module, self.embedding) if name is not None)]
        )
        if self.intervention is not None:
            self.intervention.fixed = tuple(dict.fromkeys((*self.intervention.fixed, *keys_of_decoder(pl_module))))
        if sharded_parts(pl_module) and (not self.penalty.exact or self.penalty.compiled is not None):
            raise RuntimeError(
                "On parameters that FSDP2 shards neither finite differences nor compile=True work: both run the network "
                "outside of its own forward and backward pass. Take differentiation='exact'."
            )
        if is_compiled(pl_module):  # it may be compiled for a plain step first
            self._while_fitting.enter_context(reusable_graphs())

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        by_salreg = self.penalty.compiled is not None
        if is_compiled(pl_module) and ((self.penalty.exact and not by_salreg) or pl_module._compiler_ctx is not None):
            rank_zero_warn(
                "Compiled modules have no second derivative, so penalised steps run them uncompiled (where half of the samples "
                "or fewer are annotated, only these); all others stay compiled. every_n_steps > 1 keeps more of the speed; "
                "differentiation='finite_difference' keeps all of it where the network is smooth, and compile=True compiles "
                "penalised steps, too, if the network rather than the LightningModule is compiled."
            )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Where no penalty needs maps, look at some as often as numbers are logged."""
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if self.intervenes and not self.weight and self._map_watch is not None and batch_idx % every == 0:
            self._log(pl_module, self.input, self._map_watch.measure(trainer, pl_module, self._injection, batch))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._has_ended = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for one in self._of_input.values():
            one.penalty.check_marks()
            one.warn_if_alone()
            one.warn_if_negligible()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._while_fitting.close()
        detach(pl_module, self)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._while_fitting.close()
        detach(pl_module, self)

    def state_dict(self) -> dict[str, Any]:
        return {
            "steps": self._steps,
            "counts": dict(self._counts),
            "inputs": {name: one.state_dict() for name, one in self._of_input.items()},
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._steps = state_dict["steps"]
        self._counts.update(state_dict["counts"])
        for name, state in state_dict["inputs"].items():
            self._regularised_input(name).load_state_dict(state)

    # What the injected training step calls

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
            done = self._regularised_input(name).intervene(sample, annotation, looked_at[name], given)
            sample, changed[name] = done.sample, done.annotation
            self._log(module, name, {"intervened": done.changed.float().mean()})
        return replace(batch, sample=sample, annotation=by_name(changed))

    def check_unannotated(self) -> bool:
        if (self.weight > 0 or self.intervenes) and self.penalty.needs != "nothing":
            needing = f"penalty ({self.penalty})" if self.weight else "intervention"
            raise RuntimeError(
                f"The {needing} needs annotations, but a training batch carries none. Wrap the training set: "
                "AnnotatedDataset(train_set, annotations); samples that nobody looked at may stay without (annotations={})."
            )
        return self.weight > 0

    def plan(self, batch: AnnotatedBatch, module: pl.LightningModule) -> Plan | None:
        if not self._is_due():
            return None
        annotated = annotations_by_input(batch.annotation, self.input)
        penalties = {name: self._regularised_input(name).penalty for name in annotated}
        return Plan(
            layers=self.penalty.layers,
            taps=not all(penalties[name].apart(annotation, module) for name, annotation in annotated.items()),
            exact=any(penalty.exact for penalty in penalties.values()),
            late_terms=any(penalty.late_terms for penalty in penalties.values()),
            with_slope=partial(self._with_slope, batch),
            penalise=partial(self._penalise, batch, module),
        )

    def _is_due(self) -> bool:
        """Count the coming step, and tell whether it is penalised."""
        self._steps += 1
        return self.weight > 0 and (self._steps - 1) % self.every_n_steps == 0

    def _with_slope(self, batch: AnnotatedBatch, alone: bool) -> WithSlope | None:
        compiled = self.penalty.compiled
        if compiled is None or compiled.problem:
            return None
        if not alone or list(annotations_by_input(batch.annotation, self.input)) != [None]:
            compiled.give_up("several regularizers, or several annotated inputs, share the forward pass")
            return None
        return self.penalty.with_slope(find_target(batch.sample, self.target, self._injection.reading))

    def _penalise(self, batch: AnnotatedBatch, module: pl.LightningModule, loss: Tensor, recording: Recording) -> Tensor:
        target = self._target(batch, recording, loss)
        for name, annotation in annotations_by_input(batch.annotation, self.input).items():
            seen = recording if name is None else recording.of(input_named(batch.as_given, name))
            loss = self._penalised(loss, name, seen, target, annotation, module)
        return loss

    def _target(self, batch: AnnotatedBatch, recording: Recording, loss: Tensor) -> Tensor | None:
        """The batch's targets: what the loss says, or else what can be told from the batch."""
        reading = self._injection.reading
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
        of_input, log = self._regularised_input(name), partial(self._log, module, name)
        penalty = of_input.penalty.measure(recording, target, annotation)
        if of_input.penalty.way and not of_input.told:
            rank_zero_info(f"salreg: the penalty is differentiated by {of_input.penalty.way}.")
            of_input.told = True
        weight = self._current_weight()
        log({"penalty": _over_ranks(penalty.value.detach()), "weight": weight}, prog_bar=True)
        if not penalty.scored and not penalty.undefined and not is_annotated(penalty.annotation).any():
            log(self._counted("unannotated_batches"))
            return loss
        if penalty.saliency is not None:
            log({"spurious_saliency": _mean_spurious(penalty.saliency, penalty.annotation)})
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
        if not of_input.alive and penalty.value > 0:
            check_alive(loss, penalty.value, recording, module)
            of_input.alive = True
        of_input.compare(weight * penalty.value, loss)
        return loss + weight * penalty.value

    def _regularised_input(self, name: str | None) -> RegularisedInput:
        if name not in self._of_input:  # what a penalty learns of its input, such as its spread, is of that input alone
            self._of_input[name] = RegularisedInput(deepcopy(self.penalty), deepcopy(self.intervention))
        return self._of_input[name]

    def _current_weight(self) -> float:
        ramp = min(1.0, self._steps / self.warmup_steps) if self.warmup_steps else 1.0
        return self.weight * ramp * self.every_n_steps

    def _check_skipped(self, of_input: RegularisedInput) -> None:
        if of_input.skipped_in_a_row >= _SKIPS_BEFORE_ERROR:
            raise RuntimeError(
                f"The saliency penalty was NaN or infinite for {_SKIPS_BEFORE_ERROR} penalised steps in a row. Lower the "
                f"weight ({self.weight:g}) or the learning rate, look for NaN in the inputs, or train in bf16 rather than fp16."
            )

    def _counted(self, what: str, by: int = 1) -> dict[str, Any]:
        self._counts[what] += by
        return {what: float(self._counts[what])}

    def _log(self, module: pl.LightningModule, input: str | None, values: dict[str, Any], prog_bar: bool = False) -> None:
        prefix = self.name if input is None else f"{self.name}/{input}"
        for key, value in values.items():
            if value is not None:
                module.log(f"{prefix}/{key}", value, prog_bar=prog_bar and key == "penalty", batch_size=1)


def _intervention(given: bool | Intervention | dict[str, Any]) -> Intervention | None:
    if isinstance(given, Intervention):
        return given
    if isinstance(given, Mapping):
        return Intervention(**given)
    if not isinstance(given, bool):
        raise TypeError(f"intervene is True, False, an Intervention or its arguments by name, not {given!r}.")
    return Intervention() if given else None


def _over_ranks(penalty: Tensor) -> Tensor:
    """The mean over the processes, each of which has its share of the sum."""
    return sum_over_ranks(penalty.clone()) / world_size()


def _mean_spurious(saliency: Tensor, annotation: Tensor) -> Tensor | None:
    marked = annotation.flatten(1).lt(0).any(1)
    share = spurious_saliency(saliency.float(), annotation.float())[marked]
    share = share[share.isfinite()]
    return share.mean() if len(share) else None
