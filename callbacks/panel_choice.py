"""Which samples the snapshots show: chosen once, from the data or from the first batch with marks."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_warn

from salreg.callbacks.panel import Panel, choose_panel, has_marks, panel_of
from salreg.callbacks.targets import Target


class PanelChoice:
    """Chooses a panel, at most once. A panel that cannot be chosen causes one warning: it is not worth a training.

    Args:
        size: The largest number of samples.
        target: Where the true classes are, see ``find_target``.
        input: The name of the annotated input, if there are several.

    Attributes:
        panel: What was chosen; None so far.
        gave_up: No panel can be chosen.
    """

    def __init__(self, size: int, target: Target, input: str | None) -> None:
        self.size, self.target, self.input = size, target, input
        self.panel: Panel | None = None
        self.gave_up = False

    @property
    def is_open(self) -> bool:
        """Whether a panel may still be chosen."""
        return self.panel is None and not self.gave_up

    def from_data(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Choose among the samples of an ``AnnotatedDataset``, if there is one."""
        self._choose(lambda: choose_panel(trainer, module, self.size, self.target, self.input))

    def from_batch(self, batch: Any, step: str) -> None:
        """Choose among the samples of a batch, if it has marks."""
        if has_marks(batch, self.input):
            self._choose(lambda: panel_of(batch, step, self.size, self.target, self.input))

    def from_first_process(self, trainer: pl.Trainer) -> None:
        """Take what the first process chose. Every process must call this."""
        state = None
        if self.panel is not None:
            state = replace(self.panel, samples=self.panel.samples.to(torch.device("cpu"))).state_dict()
        state, self.gave_up = trainer.strategy.broadcast((state, self.gave_up))
        self.panel = None if state is None else Panel.from_state_dict(state)

    def _choose(self, panel: Callable[[], Panel | None]) -> None:
        if not self.is_open:
            return
        try:
            self.panel = panel()
        except Exception as error:
            self.gave_up = True
            rank_zero_warn(f"SaliencySnapshots draws nothing, because no panel can be chosen: {error}")
