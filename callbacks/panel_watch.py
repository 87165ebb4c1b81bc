"""What is seen of a panel at each epoch, and remembered in the history."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_warn
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d, adaptive_avg_pool2d

from salreg import attributions as known
from salreg.annotations import marks
from salreg.attributions import Attribution
from salreg.callbacks.drawable import drawable_maps, drawable_sample
from salreg.callbacks.monitoring import Chunk, run
from salreg.callbacks.observation import panel_behaviour, panel_maps, panel_sanity
from salreg.callbacks.panel_statistics import PanelStatistics
from salreg.callbacks.place_names import Names, place_names
from salreg.callbacks.predictions import ABSENT
from salreg.callbacks.probes import default_probes
from salreg.callbacks.replay import Replay
from salreg.callbacks.snapshot import Snapshot
from salreg.history import Frame, History
from salreg.metrics.functional import spurious_saliency
from salreg.metrics.functional.predictions import NO_CLASS
from salreg.taps import ATTENTION, LAST_CONV

_LARGEST_MAP = 96  # pixels a side that the history keeps
_LONGEST_SIGNAL = 1024  # no text is as long


class PanelWatch:
    """Looks at a panel, and remembers what was seen.

    Args:
        probes: What to measure beside what is drawn; None takes two of other families.

    Attributes:
        history: All that was seen.
        statistics: Of the maps, and of how they drift.
        drawn: The attributions that are drawn, by name.
        class_names: By class.
        names: Of words or columns, see ``SaliencySnapshots``.
        constant: Columns ``(F,)`` of a table that hold one value only, of which no map is drawn or measured.
    """

    def __init__(self, probes: Sequence[Attribution] | None) -> None:
        self.history = History()
        self.statistics = PanelStatistics()
        self.drawn: dict[str, Attribution] = {}
        self.class_names: Sequence[str] | None = None
        self.names: Names | None = None
        self.constant: Tensor | None = None
        self._chosen = probes
        self._probes: dict[str, Attribution] | None = None

    def observe(self, replay: Replay, panel: Chunk, epoch: int, step: int) -> Snapshot:
        """Look at the panel, and remember what was seen."""
        if not self.history.images:
            self._remember_panel(replay, panel)
        snapshot = Snapshot(epoch, step)
        for name, attribution in self.drawn.items():
            saliency, predictions = self._maps(replay, attribution, panel)
            snapshot.numbers.update(self._measure(epoch, name, saliency, panel, probe=False))
            maps = drawable_maps(saliency, panel.flat_annotation)
            shares = _shares(saliency, panel.flat_annotation.cpu())
            frame = Frame(epoch, [_small(one) for one in maps], [self._class_name(one) for one in predictions], shares)
            snapshot.frames[name] = frame
            self.history.add(name, frame)
        snapshot.numbers.update(self._probe(replay, panel, epoch))
        snapshot.numbers.update({f"panel/{name}": value for name, value in panel_behaviour(replay, panel).items()})
        self.history.curves[epoch] = {**self.history.curves.get(epoch, {}), **snapshot.numbers}
        return snapshot

    def _probe(self, replay: Replay, panel: Chunk, epoch: int) -> dict[str, float]:
        """Measure the probes. One that does not fit the model is left out from then on."""
        if self._probes is None:
            chosen = self._chosen
            if chosen is None:
                with torch.no_grad():
                    inputs = run(replay, panel[:1].to(replay.module.device)).floating_input()
                chosen = default_probes(replay.module, inputs, panel.flat_annotation[:1], list(self.drawn.values()))
            every = named([*self.drawn.values(), *chosen])
            self._probes = {name: probe for name, probe in every.items() if name not in self.drawn}
        numbers: dict[str, float] = {}
        for name, probe in list(self._probes.items()):
            try:
                numbers |= self._measure(epoch, name, self._maps(replay, probe, panel)[0], panel, probe=True)
            except (RuntimeError, ValueError, NotImplementedError) as error:
                del self._probes[name]
                rank_zero_warn(f"The probe {name} is left out: {error}")
        return numbers

    def _maps(self, replay: Replay, attribution: Attribution, panel: Chunk) -> tuple[Tensor, list[int | float]]:
        """Maps and predictions; a gradient at a column that never varies is no use of it."""
        saliency, predictions = panel_maps(replay, attribution, panel)
        if self.constant is not None and self.constant.shape == saliency.shape[1:]:
            saliency = saliency.masked_fill(self.constant, 0.0)
        return saliency, predictions

    def _measure(self, epoch: int, name: str, saliency: Tensor, panel: Chunk, probe: bool) -> dict[str, float]:
        values = self.statistics.measure(name, saliency, panel.flat_annotation)
        self.history.panel.append({"epoch": epoch, "attribution": name, "probe": probe, **values})
        return {f"panel/{name}/{key}": value for key, value in values.items()}

    def check(self, replay: Replay, panel: Chunk) -> None:
        """See whether the maps depend on the model at all, and the model on what they show."""
        every = {**self.drawn, **(self._probes or {})}
        self.history.sanity = {name: panel_sanity(replay, attribution, panel) for name, attribution in every.items()}

    def _remember_panel(self, replay: Replay, panel: Chunk) -> None:
        with torch.no_grad():
            recording = run(replay, panel.to(replay.module.device))
        target = panel.target
        single = target is not None and target.ndim == 1
        marks = recording.without_padding(panel.annotation).cpu()
        drawn = [drawable_sample(*pair, self.names) for pair in zip(panel.flat_given.cpu(), marks, strict=True)]
        self.history.images = images = [image for image, _ in drawn]
        self.history.annotations = [mark for _, mark in drawn]
        self.history.names = place_names(self.names, images)
        if self.constant is not None:
            constant = self.constant.tolist()
            self.history.names = [
                [f"{name} (fixed)" if same else name for name, same in zip(names, constant, strict=True)]
                for names in self.history.names
            ]
        self.history.labels = [
            self._class_name(target[index].item(), prefix="class ") if single and target is not None else f"sample {index}"
            for index in range(len(images))
        ]

    def remember_logged(self, metrics: Mapping[str, Tensor], epoch: int) -> None:
        """Take in what the training logged."""
        logged = {name: float(value) for name, value in metrics.items() if value.numel() == 1}
        if logged:
            self.history.curves[epoch] = {**self.history.curves.get(epoch, {}), **logged}

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history.state_dict(), "statistics": self.statistics.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.history = History.from_state_dict(state["history"])
        self.statistics.load_state_dict(state["statistics"])

    def _class_name(self, number: int | float, prefix: str = "") -> str:
        if isinstance(number, float):  # of a regression
            return f"{number:.3g}"
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


def named(attributions: Sequence[Attribution]) -> dict[str, Attribution]:
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
    if saliency.ndim == 1 and len(saliency) > _LONGEST_SIGNAL:
        saliency = adaptive_avg_pool1d(saliency[None], _LONGEST_SIGNAL)[0]
    if saliency.ndim == 2 and max(saliency.shape) > _LARGEST_MAP:
        size = (min(saliency.shape[0], _LARGEST_MAP), min(saliency.shape[1], _LARGEST_MAP))
        saliency = adaptive_avg_pool2d(saliency[None, None], size)[0, 0]
    return saliency.to(torch.bfloat16)
