"""The callback that draws a fixed panel of samples again and again, so that one sees attention shift."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from matplotlib.image import imsave
from pytorch_lightning.utilities.rank_zero import rank_zero_warn
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from salreg import attributions as known
from salreg.annotations import marks
from salreg.attributions import Attribution
from salreg.callbacks.injection import attach, detach
from salreg.callbacks.monitoring import Chunk, explain, undisturbed
from salreg.callbacks.panel import choose_panel
from salreg.callbacks.panel_statistics import PanelStatistics
from salreg.callbacks.probes import default_probes
from salreg.callbacks.regularizer import SaliencyRegularizer
from salreg.callbacks.snapshot_logging import log_images, log_numbers
from salreg.callbacks.targets import Target
from salreg.metrics.functional import spurious_saliency
from salreg.metrics.functional.predictions import predicted_classes
from salreg.plotting.film_strip import Frame, film_strip
from salreg.plotting.overlay import overlay
from salreg.taps import ATTENTION, LAST_CONV, check_layers

_CHUNK = 16
_LARGEST_MAP = 96  # pixels a side that the history keeps


class SaliencySnapshots(pl.Callback):
    """Draws where a model looks, on the same samples, before the training, at every ``every_n_epochs``-th epoch and at its end.

    Written under ``<run folder>/snapshots/<attribution>/``: ``film_strip.png`` (one row a sample, one column an epoch, one
    colour scale a row) and ``epoch_<n>/sample_<i>.png`` (input and heat map, marked regions outlined). The same pictures go
    to every attached logger that takes images (W&B, TensorBoard). Computed in eval mode on the training weights; the training
    is bit-identical to one without this callback. A snapshot that fails costs a warning, never the training.

    Numbers go with the pictures, as means over the panel: ``panel/<attribution>/spurious_saliency``, ``gini``, ``entropy``, and
    how much the maps resemble those of the previous and the first snapshot (``cosine_to_first``, ``rank_correlation_to_first``,
    ``ssim_to_first``, ``center_shift_to_first``, and the same ``_to_previous``). They are sent to every logger and written to
    ``snapshots/panel.csv``. **Probes**, attributions of other families that are not regularised, are measured but not drawn: if
    they do not follow, the model did not change as the regularised map suggests.

    Args:
        panel: How many samples: taken from the annotated validation data, or else the training data, annotated samples
            first, spread over the classes, chosen once and kept in the checkpoint.
        every_n_epochs: How often.
        attributions: What to draw; by default what the SaliencyRegularizers of the Trainer use, or the input gradient.
        probes: What else to measure; by default two of other families than what is drawn. An empty list measures none.
        dir: Where to write instead. A folder that holds files is left alone and one with a number is taken.
        forward_module: As in ``SaliencyRegularizer``.
        target: As in ``SaliencyRegularizer``.

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
        forward_module: str | None = None,
        target: Target = None,
        probes: Sequence[str | Attribution] | None = None,
    ) -> None:
        if panel < 1 or every_n_epochs < 1:
            raise ValueError(f"panel ({panel}) and every_n_epochs ({every_n_epochs}) are at least 1.")
        self.panel_size = panel
        self.every_n_epochs = every_n_epochs
        self.attributions = None if attributions is None else [known.resolve(one) for one in attributions]
        self.probes = None if probes is None else [known.resolve(one) for one in probes]
        self.dir = None if dir is None else Path(dir)
        self.forward_module = forward_module
        self.target = target
        self._panel: Chunk | None = None
        self._history: dict[str, list[Frame]] = {}
        self._drawn: dict[str, Attribution] = {}
        self._probes: dict[str, Attribution] | None = None
        self._statistics = PanelStatistics()
        self._folder: Path | None = None
        self._epochs_drawn: list[int] = []

    # What Lightning calls

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._injection = attach(pl_module, self, forward_module=self.forward_module)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._drawn = _named(self.attributions or _regularised(trainer))
        for attribution in self._drawn.values():
            check_layers(pl_module, attribution.layers)
        for probe in self.probes or []:
            check_layers(pl_module, probe.layers)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        if self._panel is None:
            self._panel = choose_panel(trainer, pl_module, self.panel_size, self.target)
        if self._panel is None:
            rank_zero_warn(
                "SaliencySnapshots draws nothing: neither the validation nor the training data come from an AnnotatedDataset."
            )
            return
        self._folder = self._folder or _fresh(self.dir or Path(trainer.log_dir or trainer.default_root_dir) / "snapshots")
        self._first(trainer, pl_module)

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        # The parameters are still the initial ones, and by now it is known how the module calls its network.
        self._first(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every_n_epochs == 0:
            self._snapshot(trainer, pl_module, epoch)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._snapshot(trainer, pl_module, trainer.current_epoch)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        detach(pl_module, self)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        detach(pl_module, self)

    def state_dict(self) -> dict[str, Any]:
        panel = self._panel
        return {
            "panel": panel and {"tensors": panel.tensors, "annotation": panel.annotation, "target": panel.target},
            "history": {name: [vars(frame) for frame in frames] for name, frames in self._history.items()},
            "epochs_drawn": list(self._epochs_drawn),
            "folder": self._folder and str(self._folder),
            "statistics": self._statistics.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._panel = state_dict["panel"] and Chunk(**state_dict["panel"])
        self._history = {name: [Frame(**frame) for frame in frames] for name, frames in state_dict["history"].items()}
        self._epochs_drawn = list(state_dict["epochs_drawn"])
        self._statistics.load_state_dict(state_dict["statistics"])
        folder = state_dict["folder"]
        if self.dir is None and folder and Path(folder).is_dir():
            self._folder = Path(folder)

    # One snapshot

    def _first(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not self._epochs_drawn and trainer.global_step == 0 and self._injection.forward_call is not None:
            self._snapshot(trainer, module, 0)

    def _snapshot(self, trainer: pl.Trainer, module: pl.LightningModule, epoch: int) -> None:
        if self._panel is None or epoch in self._epochs_drawn or not trainer.is_global_zero:
            return
        self._epochs_drawn.append(epoch)
        try:
            if self._injection.forward_call is None:
                raise RuntimeError(self._injection.problem)
            with undisturbed(trainer, module):
                numbers: dict[str, float] = {}
                for name, attribution in self._drawn.items():
                    numbers |= self._draw(trainer, module, epoch, name, attribution)
                numbers |= self._probe(module, epoch)
                log_numbers(trainer, numbers)
        except Exception as error:  # a picture is not worth a training
            rank_zero_warn(f"The saliency snapshot of epoch {epoch} failed: {error}")

    def _draw(
        self, trainer: pl.Trainer, module: pl.LightningModule, epoch: int, name: str, attribution: Attribution
    ) -> dict[str, float]:
        assert self._panel is not None
        assert self._folder is not None
        saliency, predictions = self._explain(module, attribution)
        numbers = self._measure(epoch, name, saliency)
        maps = list(saliency.abs().sum(1) if saliency.ndim > 2 else saliency.abs())
        shares = _shares(saliency, self._panel.annotation.cpu())
        labels = self._labels()
        captions = [f"→ {p}   {_percent(share)}" for p, share in zip(predictions, shares, strict=True)]
        frame = Frame(f"epoch {epoch}", [_small(m) for m in maps], captions)
        self._history.setdefault(name, []).append(frame)
        images = list(self._panel.tensors[self._injection.forward_call.input_index].cpu())  # type: ignore[union-attr]
        marked = list(self._panel.annotation.cpu())
        strip = film_strip(images, marked, labels, self._history[name], title=f"Saliency ({name}) over the training")
        overlays = [overlay(image, m, mark, limit=float(m.max())) for image, m, mark in zip(images, maps, marked, strict=True)]
        folder = self._folder / name
        save_png(folder / "film_strip.png", strip)
        for index, picture in enumerate(overlays):
            save_png(folder / f"epoch_{epoch:04d}" / f"sample_{index:02d}.png", picture)
        titles = [f"{label} {caption}" for label, caption in zip(labels, captions, strict=True)]
        log_images(
            trainer,
            {f"salreg/{name}/film_strip": [strip], f"salreg/{name}/panel": overlays},
            {f"salreg/{name}/panel": titles},
        )
        return numbers

    def _probe(self, module: pl.LightningModule, epoch: int) -> dict[str, float]:
        """Measure the probes. One that does not fit the model is left out from then on."""
        assert self._panel is not None
        if self._probes is None:
            inputs = self._injection.forward_call.input_of(self._panel.tensors)  # type: ignore[union-attr]
            chosen = self.probes
            if chosen is None:
                chosen = default_probes(module, inputs, list(self._drawn.values()))
            self._probes = _named([*self._drawn.values(), *chosen])
            self._probes = {name: probe for name, probe in self._probes.items() if name not in self._drawn}
        numbers: dict[str, float] = {}
        for name, probe in list(self._probes.items()):
            try:
                numbers |= self._measure(epoch, name, self._explain(module, probe)[0])
            except (RuntimeError, ValueError, NotImplementedError) as error:
                del self._probes[name]
                rank_zero_warn(f"The probe {name} is left out: {error}")
        return numbers

    def _measure(self, epoch: int, name: str, saliency: Tensor) -> dict[str, float]:
        assert self._panel is not None
        assert self._folder is not None
        values = self._statistics.measure(epoch, name, saliency, self._panel.annotation)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._statistics.write(self._folder / "panel.csv")
        return {f"panel/{name}/{key}": value for key, value in values.items()}

    def _explain(self, module: pl.LightningModule, attribution: Attribution) -> tuple[Tensor, list[int]]:
        """Maps of the panel on the annotations' grid ``(B, ...)``, and predictions."""
        assert self._panel is not None
        assert self._injection.forward_call is not None
        maps: list[Tensor] = []
        predictions: list[int] = []
        for start in range(0, len(self._panel.annotation), _CHUNK):
            piece = self._panel[start : start + _CHUNK]
            piece = Chunk([t.to(module.device) for t in piece.tensors], piece.annotation.to(module.device), piece.target)
            piece.target = None if piece.target is None else piece.target.to(module.device)
            saliency, recording = explain(module, self._injection.forward_call, attribution, piece)
            maps.append(saliency.cpu())
            predictions += predicted_classes(recording.require_logits().detach()).tolist()
        return torch.cat(maps), predictions

    def _labels(self) -> list[str]:
        assert self._panel is not None
        target = self._panel.target
        if target is None or target.ndim != 1:
            return [f"sample {index}" for index in range(len(self._panel.annotation))]
        return [f"class {int(value)}" for value in target]


def _shares(saliency: Tensor, annotation: Tensor) -> list[float]:
    """Shares of saliency on spurious marks; NaN where undefined or nothing is marked."""
    share = spurious_saliency(saliency, annotation)
    marked = marks(annotation).spurious.flatten(1).any(1)
    return share.where(marked, share.new_tensor(float("nan"))).tolist()


def save_png(path: Path, pixels: Any) -> None:
    """Write a picture; an earlier one of that name stays whole until the new one is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        imsave(unfinished, pixels, format="png")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _regularised(trainer: pl.Trainer) -> list[Attribution]:
    used = [c.penalty.attribution for c in trainer.callbacks if isinstance(c, SaliencyRegularizer)]  # type: ignore[attr-defined]
    return [attribution for attribution in used if attribution is not None] or [known.InputGradient()]


def _named(attributions: Sequence[Attribution]) -> dict[str, Attribution]:
    """One name each, made of the class and the layer, fit for a file name."""
    named: dict[str, Attribution] = {}
    for attribution in attributions:
        name = known.name_of(attribution)
        if isinstance(attribution.layer, str) and attribution.layer not in (ATTENTION, LAST_CONV):
            name += "_" + "".join(c if c.isalnum() else "-" for c in attribution.layer)
        if name in named and vars(named[name]) == vars(attribution):
            continue
        while name in named:
            name += "_2"
        named[name] = attribution
    return named


def _fresh(folder: Path) -> Path:
    """The folder, or the first of ``folder-1``, ``folder-2``, ... that holds no files."""
    number, candidate = 0, folder
    while candidate.exists() and any(candidate.iterdir()):
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    candidate.mkdir(parents=True, exist_ok=True)
    return candidate


def _small(saliency: Tensor) -> Tensor:
    """What the history keeps of a map: at most 96 x 96, half precision, its scale in view."""
    if saliency.ndim == 2 and max(saliency.shape) > _LARGEST_MAP:
        size = (min(saliency.shape[0], _LARGEST_MAP), min(saliency.shape[1], _LARGEST_MAP))
        saliency = adaptive_avg_pool2d(saliency[None, None], size)[0, 0]
    return saliency.to(torch.bfloat16)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share == share else ""
