"""The callback that trains a module not to use what is marked as spurious."""

from contextlib import ExitStack
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl

from salreg.attributions import Attribution, MapFunction
from salreg.callbacks.base import Callback
from salreg.callbacks.choice import choose
from salreg.callbacks.injection import attach, detach
from salreg.callbacks.map_watch import MapWatch
from salreg.callbacks.progress_bar import show_significant_digits
from salreg.callbacks.regularisation import Regularisation
from salreg.callbacks.schedule import Schedule
from salreg.callbacks.settings import check_regularizer
from salreg.callbacks.support import check_sharding, check_strategy, warn_of_compiled, warn_of_moved_samples
from salreg.callbacks.targets import Target
from salreg.differentiation import is_compiled, reusable_graphs
from salreg.interventions import Intervention
from salreg.losses import AttributionLoss
from salreg.penalties import Penalty, SaliencyPenalty
from salreg.penalties.saliency_method import Differentiation
from salreg.taps import check_layers


class SaliencyRegularizer(Callback):
    """Trains an unmodified LightningModule not to use what is marked as spurious.

    The training data comes from an ``AnnotatedDataset``; the module's own steps and batch hooks see plain samples. The callback
    does two things, and either can be switched off:

    - The *intervention*, on by default: each training step runs on samples in which what is marked tells nothing about the
      label. The marked region shows another sample's content; and if some of the samples that somebody looked at have a marked
      feature and others do not, its presence is drawn at random (``salreg.interventions.Intervention``). It costs next to
      nothing and needs no second derivative. Validation and testing see the samples as they are.
    - A *penalty*, if one is chosen or has a weight: the step's forward pass is observed, a loss is computed from its saliency
      map and the annotations, and ``weight * penalty`` is added to the loss that ``training_step`` returns (automatic
      optimization), or to the first ``manual_backward`` after the forward pass (manual optimization). The penalty sees the same
      samples as the step.

    A batch in which nobody looked at any sample runs untouched, and so does any step at weight 0 without an intervention.

    Logged at every step: ``salreg/intervened`` (the share of samples that were changed), and for a penalty ``salreg/penalty``,
    ``salreg/weight``, ``salreg/spurious_saliency`` (share of absolute saliency on spurious marks); and, as soon as they occur,
    ``salreg/unannotated_batches``, ``salreg/undefined_maps`` and ``salreg/skipped_penalties`` (counts so far). A step that
    scores no sample logs no penalty, and an epoch that scores none logs no mean. At the end of an epoch
    ``trainer.callback_metrics`` holds the epoch's means over the scored samples of all processes; loggers get them as
    ``salreg/penalty_epoch`` and so on. Without a penalty, the map and the loss are measured on up to 32 unchanged marked
    samples, in eval mode, as often as the Trainer logs.

    Args:
        attribution: The saliency to regularise: ``"input_gradient"`` or another name from ``salreg.attributions``, a mapping
            with its options (``{"name": "grad_cam", "layer": "net.4"}``), an object such as ``GradCAM(layer="net.4")``, or a
            function ``(model, inputs, target) -> map``. Layer names are relative to the LightningModule.
        loss: ``"rrr"``, ``"energy"``, or another name from ``salreg.losses``, a mapping with its options, or an
            ``AttributionLoss``.
        weight: The factor of the penalty. By default 0, so there is only the intervention; if an attribution, a loss, a preset
            or another option of the penalty is given, or ``intervene=False``, the default is 100 for squared input gradients
            (``"input_gradient"`` and ``"rrr"``) and 1 for everything else. Gradients are measured per standard deviation of the
            input, so the scale of the data does not matter. With ``intervene=False`` and weight 0, training is exactly as
            without the callback.
        intervene: ``True``, ``False``, an ``Intervention``, or its arguments by name (``{"presence": 0.5}``). By default True,
            but False with a preset, which reproduces a published method. With several regularizers, only the first that is set
            to intervene does so.
        every_n_steps: Penalise only every n-th step, with n times the weight.
        warmup_steps: Number of steps over which the weight rises linearly from 0.
        differentiation: How the gradient of the saliency is taken: ``"exact"``, ``"finite_difference"``, or ``"auto"``, which
            is exact wherever possible; see ``SaliencyPenalty``.
        max_samples: The largest number of annotated samples per batch that the penalty is computed from.
        compile: Compile the network's forward pass and the gradient at its input as one graph. The first penalised step runs
            uncompiled, the second compiles, which takes up to minutes. A network runs uncompiled, after a warning that says
            why, if it cannot be compiled as one graph, reads token numbers, or is shared by several regularizers.
        input: The name of the annotated input to penalise, if there are several; by default each is penalised, in its own
            units, and logged as ``salreg/<input>/penalty`` and so on.
        forward_module: Name of the module whose output is the logits (``""``: the LightningModule itself). Needed only if the
            outputs of several modules may be the logits, as with two heads; the error then names them.
        link: How the training loss reads the logits: ``"softmax"`` (mutually exclusive classes), ``"sigmoid"`` (one class
            against the other, or independent labels), or ``"regression"`` (numbers, such as an embedding, a rate or a risk).
            Needed only if a loss that is written by hand does not reveal it; a warning then says so. Pass the same value to
            all salreg callbacks.
        embedding: Name of the module that embeds token numbers ``(B, T)``. Needed only if it is not an ``nn.Embedding`` that
            receives them unchanged.
        target: Key or position of the true classes in the batch. By default, whatever the training loss compares the logits
            with, according to its graph.
        preset: A published penalty that replaces ``attribution``, ``loss`` and the intervention: a name from ``salreg.presets``
            such as ``"cdep"``, a mapping with its options (``{"name": "hint", "layer": "net.4"}``), or a ``Penalty``.
        name: Prefix of the logged keys; give each regularizer of a Trainer a different one.

    Raises:
        DeadPenaltyError: The penalty cannot change the model (raised at the first penalised step), or the maps of the first 32
            annotated samples are all undefined.
        RuntimeError: The logits cannot be identified, or they do not depend on the batch's pixels; an operator has no second
            derivative; the penalty was not finite for 10 penalised steps in a row. The message names the remedy.
        TypeError: ``intervene`` has another type.
        ValueError: An unknown name, a layer that does not exist, an annotation that does not fit any input of the batch or does
            not fit the map; an input that cannot be changed, such as an image of integers.

    Example:
        >>> trainer = pl.Trainer(callbacks=[SaliencyRegularizer()], max_epochs=1, logger=False)

    Source: Teso & Kersting 2019 (CAIPI) for counterexamples, which here replace the samples; Ross, Hughes & Doshi-Velez 2017
    for the default attribution and loss.
    """

    def __init__(
        self,
        attribution: str | Attribution | dict[str, Any] | MapFunction = "input_gradient",
        loss: str | AttributionLoss | dict[str, Any] = "rrr",
        weight: float | None = None,
        *,
        intervene: bool | Intervention | dict[str, Any] | None = None,
        preset: str | Penalty | dict[str, Any] | None = None,
        every_n_steps: int = 1,
        warmup_steps: int = 0,
        differentiation: Differentiation = "auto",
        max_samples: int | None = None,
        compile: bool = False,
        input: str | None = None,
        forward_module: str | None = None,
        link: str | None = None,
        embedding: str | None = None,
        target: Target = None,
        name: str = "salreg",
    ) -> None:
        check_regularizer(locals())
        penalty, intervention, weight = choose(
            attribution, loss, weight, intervene, preset, every_n_steps, warmup_steps, differentiation, max_samples, compile
        )
        self._schedule = Schedule(weight, every_n_steps, warmup_steps)
        self.input = input
        self.forward_module = forward_module
        self.link = link
        self.embedding = embedding
        self.target = target
        self.name = name
        self._while_fitting = ExitStack()
        self._fresh = penalty, intervention
        self._start_anew()

    def _start_anew(self) -> None:
        """Reset the state that an earlier training left behind."""
        self.penalty, self.intervention = self._fresh
        self._fresh = deepcopy(self._fresh)
        self._has_ended = False
        self._schedule = replace(self._schedule, steps=0)
        self._regularisation = Regularisation(
            self.penalty, self.intervention, self._schedule, self.input, self.target, self.name
        )
        watched = self.penalty if isinstance(self.penalty, SaliencyPenalty) else None
        self._map_watch = None if watched is None else MapWatch(watched, self.target, self.input)

    @property
    def weight(self) -> float:
        """The factor of the penalty after the warm-up."""
        return self._schedule.weight

    @weight.setter
    def weight(self, weight: float) -> None:
        self._schedule.weight = weight

    @property
    def every_n_steps(self) -> int:
        """The number of steps from one penalised step to the next."""
        return self._schedule.every_n_steps

    @property
    def warmup_steps(self) -> int:
        """The number of steps over which the weight rises."""
        return self._schedule.warmup_steps

    @property
    def intervenes(self) -> bool:
        """Whether training batches are changed."""
        return self._regularisation.intervenes

    # What Lightning calls

    @property
    def state_key(self) -> str:
        return self._generate_state_key(name=self.name)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "fit":
            check_strategy(trainer.strategy)
        if stage == "fit" and self._has_ended:
            self._start_anew()
        show_significant_digits(trainer.progress_bar_callback)
        self._injection = self._regularisation.injection = attach(
            pl_module,
            self,
            forward_module=self.forward_module,
            link=self.link,
            embedding=self.embedding,
            regularizer=self._regularisation,
        )

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        check_layers(
            pl_module, [*self.penalty.layers, *(name for name in (self.forward_module, self.embedding) if name is not None)]
        )
        if self.intervention is not None:
            self.intervention.adapt_to(pl_module)
        check_sharding(pl_module, self.penalty.method)
        if is_compiled(pl_module):  # it may be compiled for a plain step first
            self._while_fitting.enter_context(reusable_graphs())

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        warn_of_compiled(pl_module, self.penalty.method)
        if trainer.is_global_zero and (self.intervenes or self.weight):
            warn_of_moved_samples(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._regularisation.logged.forget(self._regularisation.inputs, trainer.callback_metrics)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """If no penalty computes maps, measure some as often as numbers are logged."""
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if not every:  # nothing is logged, as with barebones=True
            return
        if self.intervenes and not self.weight and self._map_watch is not None and batch_idx % every == 0:
            seen = self._map_watch.measure(trainer, pl_module, self._injection, batch)
            for key, values in seen.items():
                self._regularisation.logged.mean_of_step(pl_module, self.input, key, values)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._has_ended = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for one in self._regularisation.inputs.values():
            one.penalty.check_marks()
            one.warn_if_alone()
            one.warn_if_negligible()
        self._regularisation.warn_if_unmarked(pl_module.device)
        self._regularisation.logged.of_epoch(self._regularisation.inputs, trainer, pl_module)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._while_fitting.close()
        detach(pl_module, self)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._while_fitting.close()
        detach(pl_module, self)

    def state_dict(self) -> dict[str, Any]:
        return self._regularisation.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._regularisation.load_state_dict(state_dict)
