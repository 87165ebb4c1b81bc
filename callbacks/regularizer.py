"""The callback that makes a module right for the right reasons."""

import math
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor

from salreg import presets
from salreg.annotations import is_annotated
from salreg.attributions import Attribution, MapFunction
from salreg.callbacks.injection import Needs, attach, detach
from salreg.callbacks.targets import Target, find_target
from salreg.data import AnnotatedBatch, annotations_by_input, input_named
from salreg.differentiation import is_compiled, reusable_graphs, sharded_parts
from salreg.distributed import sum_over_ranks
from salreg.losses import AttributionLoss
from salreg.metrics.functional import spurious_saliency
from salreg.penalties import Penalty, SaliencyPenalty, gradient_norms
from salreg.penalties.saliency import Differentiation
from salreg.taps import Layer, Recording, WithSlope, check_layers

_SKIPS_BEFORE_ERROR = 10
_UNSUPPORTED = ("FSDPStrategy", "DeepSpeedStrategy")


@dataclass
class _PenalisedInput:
    """One input's penalty, and what happened to it."""

    penalty: Penalty
    alive: bool = False
    told: bool = False
    skipped_in_a_row: int = 0

    def state_dict(self) -> dict[str, Any]:
        return {"penalty": self.penalty.state_dict(), "alive": self.alive, "skipped_in_a_row": self.skipped_in_a_row}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.penalty.load_state_dict(state["penalty"])
        self.alive, self.skipped_in_a_row = state["alive"], state["skipped_in_a_row"]


class SaliencyRegularizer(pl.Callback):
    """Adds ``weight * penalty`` to the training loss of an unmodified LightningModule.

    The training data comes from an ``AnnotatedDataset`` (any data will do for presets that need no annotation); the module's
    own steps and batch hooks see plain samples. At each training step the module's forward pass is observed, its saliency is
    differentiated in the same graph, and the penalty is added to the loss that ``training_step`` returns (automatic
    optimization), or to the first ``manual_backward`` after the forward pass (manual optimization). A batch without
    annotations, and any step at weight 0, runs untouched.

    Logged every penalised step: ``salreg/penalty``, ``salreg/weight``, ``salreg/spurious_saliency`` (share of absolute
    saliency on spurious marks); and, once they occur, ``salreg/unannotated_batches``, ``salreg/undefined_maps`` and
    ``salreg/skipped_penalties`` (counts so far).

    Args:
        attribution: The saliency to regularise: ``"input_gradient"`` or another name from ``salreg.attributions``, an object
            such as ``GradCAM(layer="net.4")``, or a function ``(model, inputs, target) -> map``. Layer names are the
            LightningModule's.
        loss: ``"rrr"``, ``"energy"``, or another name from ``salreg.losses``, or an ``AttributionLoss``.
        weight: How strongly the penalty counts. Gradients are measured per standard deviation of the input, so that 1 is a
            sensible start for data of any scale. 0 trains exactly as without the callback.
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
        forward_module: Name of the module whose output is the logits (``""``: the LightningModule itself). Needed only
            where the call that receives the batch's tensor does not return them, as in ``head(features(x))``.
        embedding: Name of the module that embeds token numbers ``(B, T)``. Needed only where that is no ``nn.Embedding`` which
            receives them as they are.
        target: Key or position of the true classes in the batch; found by itself in the usual layouts.
        preset: A published penalty in place of ``attribution`` and ``loss``: a name from ``salreg.presets`` such as ``"cdep"``,
            a mapping with its options (``{"name": "hint", "layer": "net.4"}``), or a ``Penalty``.
        name: Prefix of the logged keys; give each regularizer of one Trainer its own.

    Raises:
        DeadPenaltyError: The penalty cannot change the model (on the first step on which it could).
        RuntimeError: The forward pass or its logits cannot be identified; an operator has no second derivative; the
            penalty was not finite for 10 penalised steps in a row. The message names the remedy.
        ValueError: An unknown name, a layer that does not exist, an annotation that does not fit the map.

    Example:
        >>> trainer = pl.Trainer(callbacks=[SaliencyRegularizer(weight=1.0)], max_epochs=1, logger=False)

    Source: Ross, Hughes & Doshi-Velez, "Right for the Right Reasons", 2017, for the default attribution and loss.
    """

    def __init__(
        self,
        attribution: str | MapFunction | Attribution = "input_gradient",
        loss: str | AttributionLoss = "rrr",
        weight: float = 1.0,
        *,
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
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"weight is a finite number of at least 0, not {weight}.")
        if every_n_steps < 1 or warmup_steps < 0:
            raise ValueError(f"every_n_steps ({every_n_steps}) starts at 1 and warmup_steps ({warmup_steps}) at 0.")
        if preset is not None and (attribution, loss) != ("input_gradient", "rrr"):
            raise ValueError("A preset brings its own attribution and loss: give preset=... or attribution=... and loss=...")
        self.penalty = SaliencyPenalty(attribution, loss) if preset is None else presets.resolve(preset)
        if isinstance(self.penalty, SaliencyPenalty):
            self.penalty.differentiate(differentiation, max_rows, compile)
        elif (differentiation, max_rows, compile) != ("auto", None, False):
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
        self._steps = 0
        self._of_input: dict[str | None, _PenalisedInput] = {None: _PenalisedInput(self.penalty)}
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
        attach(pl_module, self, forward_module=self.forward_module, embedding=self.embedding, regularizer=self)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        check_layers(pl_module, [*self.layers(), *(name for name in (self.forward_module, self.embedding) if name is not None)])
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

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for one in self._of_input.values():
            one.penalty.check_marks()

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
            self._penalised_input(name).load_state_dict(state)

    # What the injected training step calls

    def wants(self) -> bool:
        self._steps += 1
        return self.weight > 0 and (self._steps - 1) % self.every_n_steps == 0

    def check_unannotated(self) -> bool:
        if self.weight > 0 and self.penalty.needs != "nothing":
            raise RuntimeError(
                f"The penalty ({self.penalty}) needs annotations, but a training batch carries none. Wrap the training set: "
                "AnnotatedDataset(train_set, annotations); samples that nobody looked at may stay without (annotations={})."
            )
        return self.weight > 0

    def layers(self) -> list[Layer]:
        return self.penalty.layers

    def needs(self, batch: AnnotatedBatch, module: pl.LightningModule) -> Needs:
        annotated = annotations_by_input(batch.annotation, self.input)
        penalties = {name: self._penalised_input(name).penalty for name in annotated}
        return Needs(
            taps=not all(penalties[name].apart(annotation, module) for name, annotation in annotated.items()),
            exact=any(penalty.exact for penalty in penalties.values()),
            late_terms=any(penalty.late_terms for penalty in penalties.values()),
        )

    def with_slope(self, batch: AnnotatedBatch, alone: bool) -> WithSlope | None:
        compiled = self.penalty.compiled
        if compiled is None or compiled.problem:
            return None
        if not alone or list(annotations_by_input(batch.annotation, self.input)) != [None]:
            compiled.give_up("several regularizers, or several annotated inputs, share the forward pass")
            return None
        return self.penalty.with_slope(find_target(batch.sample, self.target))

    def penalise(self, loss: Tensor, recording: Recording, batch: AnnotatedBatch, module: pl.LightningModule) -> Tensor:
        target = find_target(batch.sample, self.target)
        for name, annotation in annotations_by_input(batch.annotation, self.input).items():
            seen = recording if name is None else recording.of(input_named(batch.sample, name))
            loss = self._penalised(loss, name, seen, target, annotation, module)
        return loss

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
        of_input, log = self._penalised_input(name), partial(self._log, module, name)
        penalty = of_input.penalty.measure(recording, target, annotation)
        if of_input.penalty.way and not of_input.told:
            rank_zero_info(f"salreg: the penalty is differentiated by {of_input.penalty.way}.")
            of_input.told = True
        weight = self._current_weight()
        log({"penalty": penalty.value.detach(), "weight": weight}, prog_bar=True)
        if not penalty.scored and not penalty.undefined and not is_annotated(penalty.annotation).any():
            log(self._counted("unannotated_batches"))
            return loss
        if penalty.saliency is not None:
            log({"spurious_saliency": _mean_spurious(penalty.saliency, penalty.annotation)})
        if penalty.error is not None:
            log({"fd_error": penalty.error})
        if penalty.undefined:
            log(self._counted("undefined_maps", penalty.undefined))
        if not penalty.scored or not penalty.value.requires_grad:
            return loss
        if sum_over_ranks((~penalty.value.isfinite()).float()):
            of_input.skipped_in_a_row += 1
            self._check_skipped(of_input)
            log(self._counted("skipped_penalties"))
            return loss
        of_input.skipped_in_a_row = 0
        if not of_input.alive and penalty.value > 0:
            _check_alive(loss, penalty.value, recording, module)
            of_input.alive = True
        return loss + weight * penalty.value

    def _penalised_input(self, name: str | None) -> "_PenalisedInput":
        if name not in self._of_input:  # what a penalty learns of its input, such as its spread, is of that input alone
            self._of_input[name] = _PenalisedInput(deepcopy(self.penalty))
        return self._of_input[name]

    def _current_weight(self) -> float:
        ramp = min(1.0, self._steps / self.warmup_steps) if self.warmup_steps else 1.0
        return self.weight * ramp * self.every_n_steps

    def _check_skipped(self, of_input: "_PenalisedInput") -> None:
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


def _check_alive(loss: Tensor, penalty: Tensor, recording: Recording, module: pl.LightningModule) -> None:
    """Once: the penalty's gradient must reach parameters, and the loss must depend on the logits that were explained."""
    if loss.requires_grad:
        logits = recording.require_logits()
        if torch.autograd.grad(loss, logits, retain_graph=True, allow_unused=True)[0] is None:
            raise RuntimeError(
                "The training loss does not depend on the logits that were explained, so another forward pass trains "
                "the model. Name the module whose output is the logits with forward_module='...'."
            )
    norms = gradient_norms(penalty, _parts(module))
    reached = ", ".join(f"{name} {norm:.3g}" for name, norm in norms.items() if norm)
    rank_zero_info(f"salreg: gradient norm of the first penalty ({float(penalty.detach()):.3g}): {reached}")
    missed = [name for name, norm in norms.items() if not norm]
    if missed:
        rank_zero_warn(f"The saliency penalty's gradient does not reach: {', '.join(missed)}.")


def _mean_spurious(saliency: Tensor, annotation: Tensor) -> Tensor | None:
    marked = annotation.flatten(1).lt(0).any(1)
    share = spurious_saliency(saliency.float(), annotation.float())[marked]
    share = share[share.isfinite()]
    return share.mean() if len(share) else None


def _parts(module: pl.LightningModule) -> dict[str, list[Tensor]]:
    """The trainable parameters by the part of the module that they belong to, one level below what all have in common."""
    named = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    known = {id(parameter) for parameter in named.values()}
    paths = [name.split(".") for name in named]
    common = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, zip(*(path[:-1] for path in paths), strict=False)))
    parts: dict[str, list[Tensor]] = {}
    for path, parameter in zip(paths, named.values(), strict=True):
        parts.setdefault(".".join(path[: common + 1]), []).append(parameter)
    optimized = [p for optimizer in module.trainer.optimizers for group in optimizer.param_groups for p in group["params"]]
    hidden = [p for p in optimized if id(p) not in known and p.requires_grad]  # of a module kept in a plain list
    if sharded_parts(module):  # the optimizer has shards of what the module holds now
        hidden = []
    return {**parts, **({"parameters that only the optimizer knows": hidden} if hidden else {})}
