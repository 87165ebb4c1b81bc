"""The callback that draws a fixed panel of samples again and again, so that one sees attention shift."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from salreg import attributions as known
from salreg.annotations import marks
from salreg.attributions import Attribution
from salreg.callbacks.alerts import Alerts
from salreg.callbacks.base import Callback
from salreg.callbacks.drawable import drawable_maps, drawable_sample
from salreg.callbacks.injection import attach, detach
from salreg.callbacks.monitoring import Chunk, refuse_sharded, run, undisturbed
from salreg.callbacks.observation import panel_behaviour, panel_maps, panel_sanity
from salreg.callbacks.panel import choose_panel, of_dataset
from salreg.callbacks.panel_statistics import PanelStatistics
from salreg.callbacks.place_names import Names, place_names
from salreg.callbacks.predictions import ABSENT
from salreg.callbacks.probes import default_probes
from salreg.callbacks.regularizer import SaliencyRegularizer
from salreg.callbacks.replay import Replay
from salreg.callbacks.settings import check_snapshots
from salreg.callbacks.snapshot_files import Snapshot, SnapshotFiles
from salreg.callbacks.snapshot_logging import SnapshotLogging
from salreg.callbacks.targets import Target, find_target
from salreg.metrics.functional import spurious_saliency
from salreg.metrics.functional.predictions import NO_CLASS
from salreg.plotting import Frame, History
from salreg.taps import ATTENTION, LAST_CONV, check_layers
from salreg.verdict import verdict_on_run

_LARGEST_MAP = 96  # pixels a side that the history keeps


class SaliencySnapshots(Callback):
    """Draws where a model looks, on the same samples, before the training, at every ``every_n_epochs``-th epoch and at its end.

    Written to the run folder, and brought up to date at each snapshot: ``report.html``, a page with a slider over the epochs
    that opens in any browser, without a network; ``snapshots/<attribution>/film_strip.png`` (one row a sample, one column an
    epoch, one colour scale a row) and ``epoch_<n>/sample_<i>.png`` (input and heat map, marked regions outlined);
    ``snapshots/panel.csv``, the numbers. The same pictures go to every attached logger that takes images (W&B, trackio,
    TensorBoard), the numbers to all. Computed in eval mode on the training weights; the training is bit-identical to one
    without this callback. A snapshot that fails costs a warning, never the training.

    The numbers are means over the panel, ``panel/<attribution>/spurious_saliency``, ``gini``, ``entropy``, and how much the
    maps resemble those of the previous and the first snapshot (``cosine_to_first``, ``rank_correlation_to_first``,
    ``ssim_to_first``, ``center_shift_to_first``, and the same ``_to_previous``); and ``panel/reliance``, the worst
    of ``reliance_content``, ``reliance_removal`` and ``reliance_insertion``: the shares of predictions that change when the
    spurious region shows another sample's content, when the thing is taken away, and when it is put into samples that have
    none (see ``SaliencyMetrics``).

    **Is the change real?** Probes, attributions of other families that are not regularised, are measured but not drawn: if
    they do not follow, the model did not change as the regularised map suggests. At the end of the training, the maps are
    checked against randomised parameters and deleted places (``salreg.sanity``), and a verdict says in words what happened.

    Args:
        panel: How many samples: taken from the annotated validation data, or else the training data, annotated samples
            first, spread over the classes, chosen once and kept in the checkpoint.
        every_n_epochs: How often.
        attributions: What to draw; by default what the SaliencyRegularizers of the Trainer use, or the input gradient.
        dir: The run folder; by default the logger's, or the Trainer's ``default_root_dir``. Nothing in it is overwritten:
            where the names are taken, a number is put behind them.
        probes: What else to measure; by default two of other families than what is drawn. An empty list measures none.
        class_names: By class; by default the dataset's ``classes``, or numbers.
        names: Of words or columns. For texts a tokenizer with ``convert_ids_to_tokens``, the words by number, or a mapping
            from word to number; for tables the columns; or a function of a sample's input. By default the dataset's
            ``vocabulary``, ``tokenizer`` or ``columns``, or numbers.
        alerts: Limits by name, for example ``{"reliance": 0.2, "spurious_saliency": 0.1}``. A number that rises above its
            limit costs one warning, and an alert in W&B and trackio, until it has fallen below again.
        sanity: Whether to check the maps at the end, which takes some ten snapshots' time.
        input: Of several annotated inputs, the name of the one that is drawn; by default the first.
        forward_module: As in ``SaliencyRegularizer``; so are ``embedding`` and ``target``.
        name: Give each a name of its own, and a ``dir``, where a Trainer has several.

    Attributes:
        history: A ``salreg.plotting.History`` of everything that was seen.

    Example:
        >>> trainer = pl.Trainer(callbacks=[SaliencySnapshots(panel=8)], logger=False)
    """

    def __init__(
        self,
        panel: int = 16,
        every_n_epochs: int = 1,
        attributions: Sequence[str | Attribution] | None = None,
        dir: str | Path | None = None,
        *,
        probes: Sequence[str | Attribution] | None = None,
        class_names: Sequence[str] | None = None,
        names: Names | None = None,
        alerts: Mapping[str, float] | None = None,
        sanity: bool = True,
        input: str | None = None,
        forward_module: str | None = None,
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
        self.embedding = embedding
        self.target = target
        self.name = name
        self._limits = alerts or {}
        self._own_names = self.class_names, self.names
        self._start_anew()

    def _start_anew(self) -> None:
        """Forget what was seen of an earlier training."""
        self.history = History()
        self.class_names, self.names = self._own_names
        self._panel: Chunk | None = None
        self._panel_step = "validation_step"
        self._drawn: dict[str, Attribution] = {}
        self._probes: dict[str, Attribution] | None = None
        self._statistics = PanelStatistics()
        self._alerts = Alerts(self._limits)
        self._logging = SnapshotLogging()
        self._files: SnapshotFiles | None = None
        self._epochs_drawn: list[int] = []
        self._has_ended = False

    # What Lightning calls

    @property
    def state_key(self) -> str:
        return self._generate_state_key(name=self.name)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "fit" and self._has_ended:
            self._start_anew()
        self._injection = attach(pl_module, self, forward_module=self.forward_module, embedding=self.embedding)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        refuse_sharded(pl_module, self)
        self._drawn = _named(self.attributions or _regularised(trainer))
        for attribution in [*self._drawn.values(), *(self.probes or [])]:
            check_layers(pl_module, attribution.layers)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        logged_to = trainer.log_dir  # on every process: asking is a broadcast
        if not trainer.is_global_zero:
            return
        if self._panel is None:
            self._panel, self._panel_step = choose_panel(trainer, pl_module, self.panel_size, self.target, self.input)
        if self._panel is not None:
            self._panel = replace(self._panel, prepare=self._injection.prepare)
        if self._panel is None:
            rank_zero_warn(
                "SaliencySnapshots draws nothing: neither the validation nor the training data come from an AnnotatedDataset."
            )
            return
        self.class_names = self.class_names or of_dataset(trainer, "classes")
        self.names = self.names or of_dataset(trainer, "vocabulary", "tokenizer", "columns")
        root = self.dir or Path(logged_to or trainer.default_root_dir)
        self._files = self._files or SnapshotFiles.unused(root)
        self._first(trainer, pl_module)

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        # The parameters are still the initial ones, and by now it is known how the module calls its network.
        self._first(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._remember_logged(trainer, trainer.current_epoch)  # Lightning reduces an epoch's numbers after its end

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        self._remember_logged(trainer, epoch)
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
        panel = self._panel
        return {
            "panel": panel and {field.name: getattr(panel, field.name) for field in fields(panel) if field.name != "prepare"},
            "panel_step": self._panel_step,
            "history": self.history.state_dict(),
            "epochs_drawn": list(self._epochs_drawn),
            "files": self._files and {"root": str(self._files.root), "number": self._files.number},
            "statistics": self._statistics.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._panel = state_dict["panel"] and Chunk(**state_dict["panel"])
        self._panel_step = state_dict["panel_step"]
        self.history = History.from_state_dict(state_dict["history"])
        self._epochs_drawn = list(state_dict["epochs_drawn"])
        self._statistics.load_state_dict(state_dict["statistics"])
        files = state_dict["files"]
        if files and self.dir in (None, Path(files["root"])) and Path(files["root"]).is_dir():
            self._files = SnapshotFiles(Path(files["root"]), files["number"])

    # One snapshot

    @property
    def _replay(self) -> Replay:
        return self._injection.replay(self._panel_step)

    def _first(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not self._epochs_drawn and trainer.global_step == 0 and self._injection.reading is not None:
            self._snapshot(trainer, module, 0)

    def _snapshot(self, trainer: pl.Trainer, module: pl.LightningModule, epoch: int) -> None:
        if self._panel is None or epoch in self._epochs_drawn or not trainer.is_global_zero:
            return
        self._epochs_drawn.append(epoch)
        try:
            if self._panel.target is None:  # the loss says by now which of the batch's tensors it is
                target = find_target(self._panel.sample, self.target, self._injection.reading)
                self._panel = replace(self._panel, target=target)
            with undisturbed(trainer, module):
                snapshot = self._observe(module, epoch)
            snapshot.draw(self.history)
            alerts = self._alerts.crossed(self.history.curves[epoch])
            for alert in alerts:
                rank_zero_warn(f"salreg: {alert}.")
            self._logging.send(trainer, self.history, snapshot, alerts)
            assert self._files is not None
            self._files.write(self.history, snapshot)
        except Exception as error:  # a picture is not worth a training
            rank_zero_warn(f"The saliency snapshot of epoch {epoch} failed: {error}")

    def _observe(self, module: pl.LightningModule, epoch: int) -> Snapshot:
        """Look at the panel, and remember what was seen."""
        replay, panel = self._replay, self._panel
        assert panel is not None
        if not self.history.images:
            self._remember_panel(replay, panel)
        snapshot = Snapshot(epoch)
        for name, attribution in self._drawn.items():
            saliency, predictions = panel_maps(replay, attribution, panel)
            snapshot.numbers |= self._measure(epoch, name, saliency, probe=False)
            maps = drawable_maps(saliency, panel.flat_annotation)
            shares = _shares(saliency, panel.flat_annotation.cpu())
            frame = Frame(epoch, [_small(one) for one in maps], [self._class_name(one) for one in predictions], shares)
            snapshot.frames[name] = frame
            self.history.add(name, frame)
        snapshot.numbers |= self._probe(module, epoch)
        snapshot.numbers |= {f"panel/{name}": value for name, value in panel_behaviour(replay, panel).items()}
        self.history.curves[epoch] = {**self.history.curves.get(epoch, {}), **snapshot.numbers}
        return snapshot

    def _probe(self, module: pl.LightningModule, epoch: int) -> dict[str, float]:
        """Measure the probes. One that does not fit the model is left out from then on."""
        replay, panel = self._replay, self._panel
        assert panel is not None
        if self._probes is None:
            chosen = self.probes
            if chosen is None:
                with torch.no_grad():
                    inputs = run(replay, panel[:1].to(module.device)).floating_input()
                chosen = default_probes(module, inputs, list(self._drawn.values()))
            named = _named([*self._drawn.values(), *chosen])
            self._probes = {name: probe for name, probe in named.items() if name not in self._drawn}
        numbers: dict[str, float] = {}
        for name, probe in list(self._probes.items()):
            try:
                numbers |= self._measure(epoch, name, panel_maps(replay, probe, panel)[0], probe=True)
            except (RuntimeError, ValueError, NotImplementedError) as error:
                del self._probes[name]
                rank_zero_warn(f"The probe {name} is left out: {error}")
        return numbers

    def _measure(self, epoch: int, name: str, saliency: Tensor, probe: bool) -> dict[str, float]:
        assert self._panel is not None
        values = self._statistics.measure(name, saliency, self._panel.flat_annotation)
        self.history.panel.append({"epoch": epoch, "attribution": name, "probe": probe, **values})
        return {f"panel/{name}/{key}": value for key, value in values.items()}

    def _conclude(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Check the maps, and say what happened."""
        if self._files is None or self._panel is None or not trainer.is_global_zero:
            return
        try:
            if self.sanity:
                with undisturbed(trainer, module):
                    self.history.sanity = {
                        name: panel_sanity(self._replay, attribution, self._panel)
                        for name, attribution in {**self._drawn, **(self._probes or {})}.items()
                    }
            self.history.verdict = verdict_on_run(self.history)
            self._files.write_history(self.history)
        except Exception as error:  # nor is a verdict
            rank_zero_warn(f"The check of the saliency maps failed: {error}")
        if self.history.verdict:
            rank_zero_info(f"salreg: {self.history.verdict}.")

    # What is remembered

    def _remember_panel(self, replay: Replay, panel: Chunk) -> None:
        with torch.no_grad():
            recording = run(replay, panel.to(replay.module.device))
        target = panel.target
        single = target is not None and target.ndim == 1
        marks = recording.without_padding(panel.annotation).cpu()
        drawn = [drawable_sample(*pair) for pair in zip(panel.flat_given.cpu(), marks, strict=True)]
        self.history.images = images = [image for image, _ in drawn]
        self.history.annotations = [mark for _, mark in drawn]
        self.history.names = place_names(self.names, images)
        self.history.labels = [
            self._class_name(int(target[index]), prefix="class ") if single and target is not None else f"sample {index}"
            for index in range(len(images))
        ]

    def _remember_logged(self, trainer: pl.Trainer, epoch: int) -> None:
        metrics = trainer.callback_metrics  # on every process: reading it may reduce over them
        logged = {name: float(value) for name, value in metrics.items() if value.numel() == 1}
        if logged and self._panel is not None:
            self.history.curves[epoch] = {**self.history.curves.get(epoch, {}), **logged}

    def _class_name(self, number: int, prefix: str = "") -> str:
        if number == NO_CLASS:
            return "NaN"
        if number == ABSENT:  # many places, each with a class of its own
            return ""
        if self.class_names is not None and 0 <= number < len(self.class_names):
            return str(self.class_names[number])
        return f"{prefix}{number}"


def _shares(saliency: Tensor, annotation: Tensor) -> list[float]:
    """Shares of saliency on spurious marks; NaN where undefined or nothing is marked."""
    share = spurious_saliency(saliency, annotation)
    marked = marks(annotation).spurious.flatten(1).any(1)
    return share.where(marked, share.new_tensor(float("nan"))).tolist()


def _regularised(trainer: pl.Trainer) -> list[Attribution]:
    used = [c.penalty.attribution for c in trainer.callbacks if isinstance(c, SaliencyRegularizer)]  # type: ignore[attr-defined]
    return [attribution for attribution in used if attribution is not None] or [known.InputGradient()]


def _named(attributions: Sequence[Attribution]) -> dict[str, Attribution]:
    """One name each, made of the class and the layer, fit for a file name."""
    named: dict[str, Attribution] = {}
    for attribution in attributions:
        name = known.name_of(attribution)
        if isinstance(attribution.layer, str) and attribution.layer not in (ATTENTION, LAST_CONV):
            name += f"_{attribution.layer}"
        name = "".join(c if c.isalnum() or c == "_" else "-" for c in name)
        if name in named and vars(named[name]) == vars(attribution):
            continue
        while name in named:
            name += "_2"
        named[name] = attribution
    return named


def _small(saliency: Tensor) -> Tensor:
    """What the history keeps of a map: at most 96 x 96, half precision, its scale in view."""
    if saliency.ndim == 2 and max(saliency.shape) > _LARGEST_MAP:
        size = (min(saliency.shape[0], _LARGEST_MAP), min(saliency.shape[1], _LARGEST_MAP))
        saliency = adaptive_avg_pool2d(saliency[None, None], size)[0, 0]
    return saliency.to(torch.bfloat16)
