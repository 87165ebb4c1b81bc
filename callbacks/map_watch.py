"""Measures maps now and then if the penalty does not compute them, and logs them in the same way."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.rank_zero import rank_zero_warn
from torch import Tensor

from salreg.callbacks.injection import Injection
from salreg.callbacks.monitoring import Chunk, run, undisturbed
from salreg.callbacks.targets import Target
from salreg.data import AnnotatedBatch
from salreg.differentiation import sharded_parts, twice_differentiable
from salreg.metrics.functional import spurious_saliency
from salreg.penalties import SaliencyPenalty

_SAMPLES = 32


class MapWatch:
    """Measures the maps of a few marked samples of a batch, in eval mode and without side effects.

    Args:
        penalty: Whose attribution and loss are measured.
        target: Where the true classes are.
        input: The annotated input, where there are several.
    """

    def __init__(self, penalty: SaliencyPenalty, target: Target, input: str | None) -> None:
        self.penalty = penalty
        self.target = target
        self.input = input
        self._warned = False

    def measure(self, trainer: pl.Trainer, module: pl.LightningModule, injection: Injection, batch: Any) -> dict[str, Tensor]:
        """The share of saliency on spurious marks, and the loss, ``(N,)`` each: ``spurious_saliency`` and ``penalty``; empty
        where nothing is marked or the network cannot be called on its own, which is said once."""
        if not isinstance(batch, AnnotatedBatch) or sharded_parts(module):
            return {}
        try:
            return self._measure(trainer, module, injection, batch)
        except (KeyError, NotImplementedError, RuntimeError, ValueError) as error:  # a number is not worth a training
            if not self._warned:
                rank_zero_warn(f"The saliency maps of this training are not measured: {error}")
            self._warned = True
            return {}

    def _measure(
        self, trainer: pl.Trainer, module: pl.LightningModule, injection: Injection, batch: AnnotatedBatch
    ) -> dict[str, Tensor]:
        whole = Chunk.whole(batch, self.target, self.input, injection.reading)
        marked = (whole.annotation.flatten(1).amin(1) < 0).nonzero().flatten()[:_SAMPLES]
        if not len(marked):
            return {}
        few = whole[marked.tolist()]
        with undisturbed(trainer, module), twice_differentiable(module):
            recording = run(injection.replay("training_step"), few, self.penalty.layers)
            seen = self.penalty.observe(recording, few.target, recording.without_padding(few.annotation.to(module.device)))
        assert seen.saliency is not None
        share = spurious_saliency(seen.saliency.detach().float(), seen.annotation.float())
        found = {"penalty": seen.losses.value[seen.losses.scored], "spurious_saliency": share[share.isfinite()]}
        return {name: values.detach() for name, values in found.items()}
