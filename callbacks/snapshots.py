"""The callback that draws a fixed panel of samples throughout training, so that you can see the saliency shift."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn

from salreg import attributions as known
from salreg.attributions import Attribution, MapFunction
from salreg.callbacks.alerts import Alerts
from salreg.callbacks.base import Callback
from salreg.callbacks.injection import attach, detach
from salreg.callbacks.monitoring import undisturbed
from salreg.callbacks.painter import paint
from salreg.callbacks.panel import Panel, of_dataset
from salreg.callbacks.panel_choice import PanelChoice
from salreg.callbacks.panel_watch import PanelWatch, named
from salreg.callbacks.place_names import Names
from salreg.callbacks.regularizer import SaliencyRegularizer
from salreg.callbacks.settings import check_snapshots
from salreg.callbacks.sinks import EverySink
from salreg.callbacks.snapshot import Snapshot
from salreg.callbacks.targets import Target
from salreg.differentiation import sharded_parts
from salreg.evidence import verdict_on_run
from salreg.history import History
from salreg.taps import check_layers


class SaliencySnapshots(Callback):
    """Draws where a model looks, on the same samples: before training, every ``every_n_epochs`` epochs, and at the end.

    It writes to the run folder, and updates at each snapshot: ``report.html``, a page with a slider over the epochs that opens
    in any browser, even offline; ``snapshots/<attribution>/film_strip.png`` (one row per sample, one column per epoch, one
    colour scale per row) and ``epoch_<n>/sample_<i>.png`` (input and heat map, marked regions outlined);
    ``snapshots/panel.csv``, the numbers. The same pictures go to every attached logger that accepts images (W&B, trackio,
    TensorBoard), and the numbers go to all loggers. Everything is computed in eval mode on the training weights; training is
    bit-identical to training without this callback. A snapshot that fails causes a warning and never stops the training.

    The numbers are means over the panel, ``panel/<attribution>/spurious_saliency``, ``gini``, ``entropy``, and how similar the
    maps are to those of the first and of the previous snapshot (``cosine_to_first``, ``rank_correlation_to_first``,
    ``ssim_to_first``, ``center_shift_to_first``, and the same ``_to_previous``); and ``panel/reliance``, the largest of
    ``reliance_content``, ``reliance_removal`` and ``reliance_insertion``: the shares of predictions that change when the
    spurious region shows another sample's content, when the marked feature is removed, and when it is inserted into samples
    that lack it (see ``SaliencyMetrics``).

    **Is the change real?** Probes are attributions of other families that are not regularised. They are measured but not drawn:
    if they do not change too, the model did not change as the regularised map suggests. At the end of training, the maps are
    checked against randomised parameters and deleted places (``salreg.sanity``), and a verdict says in words what happened.

    Args:
        panel: The number of samples. They are taken from the annotated validation data, or else from the training data,
            annotated samples first, spread over the classes; they are chosen once and kept in the checkpoint. With a stream, or
            with several training loaders at once, they come from the first batch with marks, be it of the sanity check or of
            training.
        every_n_epochs: The number of epochs between snapshots.
        attributions: What to draw; by default the attributions of the Trainer's SaliencyRegularizers, or the input gradient.
        dir: The run folder; by default the logger's, or the Trainer's ``default_root_dir``. Nothing in it is overwritten: a
            name that is taken gets a number appended.
        probes: Attributions to measure without drawing them; by default two from other families than those drawn. An empty list
            measures none.
        class_names: Names by class; by default the dataset's ``classes``, or numbers.
        names: Names of words or columns. For texts, a tokenizer with ``convert_ids_to_tokens``, a list of words by number, or a
            mapping from word to number; for tables, the column names; or a function of a sample's input. By default the
            dataset's ``vocabulary``, ``tokenizer`` or ``columns``, or numbers.
        alerts: Limits by name, for example ``{"reliance": 0.2, "spurious_saliency": 0.1}``. A metric that rises above its limit
            causes one warning, and an alert in W&B and trackio; it can do so again once it has fallen below the limit.
        sanity: Whether to check the maps at the end, which takes about as long as ten snapshots.
        input: The name of the annotated input to draw, if there are several; by default the first.
        forward_module: As in ``SaliencyRegularizer``; so are ``link``, ``embedding`` and ``target``.
        name: If a Trainer has several of these callbacks, give each its own name and ``dir``.

    Attributes:
        history: A ``salreg.history.History`` of everything that the snapshots recorded.

    Example:
        >>> trainer = pl.Trainer(callbacks=[SaliencySnapshots(panel=8)], logger=False)
    """

    def __init__(
        self,
        panel: int = 16,
        every_n_epochs: int = 1,
        attributions: Sequence[str | Attribution | dict[str, Any] | MapFunction] | None = None,
        dir: str | Path | None = None,
        *,
        probes: Sequence[str | Attribution | dict[str, Any] | MapFunction] | None = None,
        class_names: Sequence[str] | None = None,
        names: Names | None = None,
        alerts: Mapping[str, float] | None = None,
        sanity: bool = True,
        input: str | None = None,
        forward_module: str | None = None,
        link: str | None = None,
        embedding: str | None = None,
        target: Target = None,
        name: str = "",
    ) -> None:
        check_snapshots(locals())
        self.panel_size = panel
        self.every_n_epochs = every_n_epochs
        self.attributions = None if attributions is None else [known.resolve(one) for one in attributions]
        self.probes = None if probes is None else [known.resolve(one) for one in probes]
        self.dir = None if dir is None else Path(dir)
        self.class_names = None if class_names is None else list(class_names)
        self.names = names
        self.sanity = sanity
        self.input = input
        self.forward_module = forward_module
        self.link = link
        self.embedding = embedding
        self.target = target
        self.name = name
        self._limits = alerts or {}
        self._start_anew()

    def _start_anew(self) -> None:
        """Reset what was recorded in an earlier training."""
        self._watch = PanelWatch(self.probes)
        self._choice = PanelChoice(self.panel_size, self.target, self.input)
        self._alerts = Alerts(self._limits)
        self._sinks = EverySink()
        self._epochs_drawn: list[int] = []
        self._together = False
        self._has_ended = False

    @property
    def history(self) -> History:
        """Everything that the snapshots recorded."""
        return self._watch.history

    @property
    def _panel(self) -> Panel | None:
        return self._choice.panel

    # What Lightning calls

    @property
    def state_key(self) -> str:
        return self._generate_state_key(name=self.name)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "fit" and self._has_ended:
            self._start_anew()
        self._injection = attach(pl_module, self, forward_module=self.forward_module, link=self.link, embedding=self.embedding)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._together = bool(sharded_parts(pl_module))
        self._watch.drawn = named(self.attributions or _regularised(trainer))
        for attribution in [*self._watch.drawn.values(), *(self.probes or [])]:
            check_layers(pl_module, attribution.layers)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        logged_to = trainer.log_dir  # on every process: asking is a broadcast
        if not self._takes_part(trainer):
            return
        self._choice.from_data(trainer, pl_module)
        self._watch.class_names = self.class_names or of_dataset(trainer, "classes")
        self._watch.names = self.names or of_dataset(trainer, "vocabulary", "tokenizer", "columns")
        self._sinks.start(self.dir or Path(logged_to or trainer.default_root_dir), trainer.loggers)
        self._first(trainer, pl_module)

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if trainer.sanity_checking:
            self._choose(trainer, batch, "validation_step")

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        self._choose(trainer, batch, "training_step")

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # The parameters are still the initial ones, and by now it is known how the module calls its network.
        self._first(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._remember_logged(trainer, trainer.current_epoch)  # Lightning reduces an epoch's numbers after its end

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        self._remember_logged(trainer, epoch)
        if self._choice.is_open and trainer.is_global_zero and epoch == 1:
            rank_zero_warn(
                "SaliencySnapshots draws nothing: neither the validation nor the training data come from an AnnotatedDataset, "
                "and no stream has delivered a batch with marks so far."
            )
        if epoch % self.every_n_epochs == 0:
            self._snapshot(trainer, pl_module, epoch)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._remember_logged(trainer, trainer.current_epoch)
        self._snapshot(trainer, pl_module, trainer.current_epoch)
        self._conclude(trainer, pl_module)
        self._has_ended = True

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        detach(pl_module, self)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        detach(pl_module, self)

    def state_dict(self) -> dict[str, Any]:
        return {
            "panel": self._panel and self._panel.state_dict(),
            "watch": self._watch.state_dict(),
            "epochs_drawn": list(self._epochs_drawn),
            "folder": self._sinks.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._choice.panel = state_dict["panel"] and Panel.from_state_dict(state_dict["panel"])
        self._watch.load_state_dict(state_dict["watch"])
        self._epochs_drawn = list(state_dict["epochs_drawn"])
        self._sinks.load_state_dict(state_dict["folder"], self.dir)

    # One snapshot

    def _takes_part(self, trainer: pl.Trainer) -> bool:
        """Whether this process computes the panel: only the first does, or all of them if each holds a part of the network."""
        return trainer.is_global_zero or self._together

    def _choose(self, trainer: pl.Trainer, batch: Any, step: str) -> None:
        """Take a stream's panel from the first batch with marks."""
        if not self._choice.is_open or self._epochs_drawn:
            return
        if trainer.is_global_zero:
            self._choice.from_batch(batch, step)
        if self._together:  # each process has another batch, and all have to look at the same
            self._choice.from_first_process(trainer)

    def _first(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not self._epochs_drawn and trainer.global_step == 0 and self._injection.reading is not None:
            self._snapshot(trainer, module, 0)

    def _snapshot(self, trainer: pl.Trainer, module: pl.LightningModule, epoch: int) -> None:
        if self._panel is None or epoch in self._epochs_drawn or not self._takes_part(trainer):
            return
        self._epochs_drawn.append(epoch)
        if trainer.is_global_zero:
            self._sinks.open()
        try:
            self._panel.samples.prepare = self._injection.prepare
            self._panel.find_target(self.target, self._injection.reading)
            self._watch.constant = self._panel.constant
            replay = self._injection.replay(self._panel.step)
            with undisturbed(trainer, module):
                snapshot = self._watch.observe(replay, self._panel.samples, epoch, trainer.global_step)
            if not trainer.is_global_zero:
                return
            painted = paint(snapshot, self.history)
            snapshot.alerts.extend(self._alerts.crossed(self.history.curves[epoch]))
            for alert in snapshot.alerts:
                rank_zero_warn(f"salreg: {alert}.")
            self._sinks.write(painted)
        except Exception as error:  # a picture is not worth a training
            rank_zero_warn(f"The saliency snapshot of epoch {epoch} failed: {error}")

    def _conclude(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Check the maps, and say what happened."""
        if self._panel is None or not self._takes_part(trainer):
            return
        try:
            if self.sanity:
                with undisturbed(trainer, module):
                    self._watch.check(self._injection.replay(self._panel.step), self._panel.samples)
            if not trainer.is_global_zero:
                return
            self.history.verdict = verdict_on_run(self.history)
            self._sinks.write_to_disk(paint(Snapshot(trainer.current_epoch), self.history))
        except Exception as error:  # nor is a verdict
            rank_zero_warn(f"The check of the saliency maps failed: {error}")
        if self.history.verdict:
            rank_zero_info(f"salreg: {self.history.verdict}")

    def _remember_logged(self, trainer: pl.Trainer, epoch: int) -> None:
        metrics = trainer.callback_metrics  # on every process: reading it may reduce over them
        if self._panel is not None:
            self._watch.remember_logged(metrics, epoch)


def _regularised(trainer: pl.Trainer) -> list[Attribution]:
    used = [c.penalty.attribution for c in trainer.callbacks if isinstance(c, SaliencyRegularizer)]  # type: ignore[attr-defined]
    return [attribution for attribution in used if attribution is not None] or [known.InputGradient()]
