"""The callback that makes a module right for the right reasons."""

from contextlib import ExitStack
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.rank_zero import rank_zero_warn

from salreg.attributions import Attribution, MapFunction
from salreg.callbacks.base import Callback
from salreg.callbacks.choice import choose
from salreg.callbacks.injection import attach, detach
from salreg.callbacks.map_watch import MapWatch
from salreg.callbacks.progress_bar import show_significant_digits
from salreg.callbacks.regularisation import Regularisation
from salreg.callbacks.schedule import Schedule
from salreg.callbacks.settings import check_regularizer
from salreg.callbacks.targets import Target
from salreg.differentiation import is_compiled, reusable_graphs, sharded_parts
from salreg.interventions import Intervention
from salreg.interventions.beside import keys_of_decoder
from salreg.losses import AttributionLoss
from salreg.penalties import Penalty, SaliencyPenalty
from salreg.penalties.saliency_method import Differentiation
from salreg.taps import check_layers

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
    ``salreg/unannotated_batches``, ``salreg/undefined_maps`` and ``salreg/skipped_penalties`` (counts so far). A step that
    scores no sample logs no penalty, and an epoch that scores none leaves no number behind. At the end of an epoch
    ``trainer.callback_metrics`` holds the epoch's means over the samples that were scored, on all processes together; loggers
    have them as ``salreg/penalty_epoch`` and so on. Without a penalty the map and the loss are measured on up to 32 marked
    samples as they are, in eval mode, as often as the Trainer logs.

    Args:
        attribution: The saliency to regularise: ``"input_gradient"`` or another name from ``salreg.attributions``, a mapping
            with its options (``{"name": "grad_cam", "layer": "net.4"}``), an object such as ``GradCAM(layer="net.4")``, or a
            function ``(model, inputs, target) -> map``. Layer names are the LightningModule's.
        loss: ``"rrr"``, ``"energy"``, or another name from ``salreg.losses``, a mapping with its options, or an
            ``AttributionLoss``.
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
        max_samples: Make the penalty from at most so many annotated samples of a batch.
        compile: Compile the network's forward pass and the gradient at its input as one graph. The first penalised step runs
            uncompiled, the second compiles, which takes up to minutes. A network that cannot be one graph, that reads token
            numbers, or whose pass several regularizers share, runs uncompiled after a warning that says why.
        input: Of several annotated inputs, the name of the one that is penalised; by default each is, in units of its own, and
            logged as ``salreg/<input>/penalty`` and so on.
        forward_module: Name of the module whose output is the logits (``""``: the LightningModule itself). Needed only where
            several modules return something that may be the logits, as with two heads; the error then names them.
        link: How the training loss reads the logits: ``"softmax"`` (classes that exclude one another), ``"sigmoid"`` (one class
            against the other, or labels each on its own), or ``"regression"`` (numbers: also an embedding, a rate or a risk).
            Needed only where the loss, written by hand, does not tell; a warning then says so. Give it to all salreg callbacks.
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
        """Forget what an earlier training has taught."""
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
        """How strongly the penalty counts, once it is warm."""
        return self._schedule.weight

    @weight.setter
    def weight(self, weight: float) -> None:
        self._schedule.weight = weight

    @property
    def every_n_steps(self) -> int:
        """Every so many steps one is penalised."""
        return self._schedule.every_n_steps

    @property
    def warmup_steps(self) -> int:
        """Over so many steps the weight rises."""
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
        if stage == "fit" and type(trainer.strategy).__name__ in _UNSUPPORTED:
            raise RuntimeError(
                f"SaliencyRegularizer does not support {type(trainer.strategy).__name__}: sharded parameters are gone when "
                "the saliency is differentiated a second time. Use ModelParallelStrategy (FSDP2), DDP or one device."
            )
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
            self.intervention.fixed = tuple(dict.fromkeys((*self.intervention.fixed, *keys_of_decoder(pl_module))))
        if sharded_parts(pl_module) and (not self.penalty.method.exact or self.penalty.method.compiled is not None):
            raise RuntimeError(
                "On parameters that FSDP2 shards neither finite differences nor compile=True work: both run the network "
                "outside of its own forward and backward pass. Take differentiation='exact'."
            )
        if is_compiled(pl_module):  # it may be compiled for a plain step first
            self._while_fitting.enter_context(reusable_graphs())

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        by_salreg = self.penalty.method.compiled is not None
        if is_compiled(pl_module) and ((self.penalty.method.exact and not by_salreg) or pl_module._compiler_ctx is not None):
            rank_zero_warn(
                "Compiled modules have no second derivative, so penalised steps run them uncompiled (where half of the samples "
                "or fewer are annotated, only these); all others stay compiled. every_n_steps > 1 keeps more of the speed; "
                "differentiation='finite_difference' keeps all of it where the network is smooth, and compile=True compiles "
                "penalised steps, too, if the network rather than the LightningModule is compiled."
            )

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._regularisation.forget_logged(trainer.callback_metrics)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Where no penalty needs maps, look at some as often as numbers are logged."""
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if not every:  # nothing is logged, as with barebones=True
            return
        if self.intervenes and not self.weight and self._map_watch is not None and batch_idx % every == 0:
            seen = self._map_watch.measure(trainer, pl_module, self._injection, batch)
            for key, values in seen.items():
                self._regularisation.log_mean(pl_module, self.input, key, values)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._has_ended = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for one in self._regularisation.inputs.values():
            one.penalty.check_marks()
            one.warn_if_alone()
            one.warn_if_negligible()
        self._regularisation.log_epoch(trainer, pl_module)

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
