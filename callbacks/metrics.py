"""The callback that measures saliency and reliance on validation and test data."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_warn
from torchmetrics import Metric

from salreg import annotations, attributions
from salreg.attributions import Attribution
from salreg.callbacks.injection import attach, detach
from salreg.callbacks.monitoring import chunks, explain, undisturbed
from salreg.callbacks.targets import Target, find_target
from salreg.data import AnnotatedBatch
from salreg.distributed import sum_over_ranks
from salreg.metrics import RelevantSaliency, Reliance, SpuriousSaliency
from salreg.metrics.functional import replace_spurious


class SaliencyMetrics(pl.Callback):
    """Logs where a model looks, and whether it relies on the spurious region, on annotated validation and test batches.

    Per epoch and stage (``val`` or ``test``): ``<stage>/spurious_saliency``, ``<stage>/relevant_saliency`` and
    ``<stage>/reliance``, each only where samples with such marks were seen; ``<stage>/undefined_maps`` counts maps without
    any saliency, which are left out of the shares. Computed in eval mode, in chunks, after the module's own step; the
    training is bit-identical to one without this callback.

    Args:
        attribution: The saliency to measure.
        chunk_size: Samples per forward pass.
        max_batches: Measure the first so many batches of an epoch only; all of them by default.
        forward_module: As in ``SaliencyRegularizer``.
        target: As in ``SaliencyRegularizer``.

    Example:
        >>> trainer = pl.Trainer(callbacks=[SaliencyMetrics(max_batches=4)], logger=False)
    """

    def __init__(
        self,
        attribution: str | Attribution = "input_gradient",
        *,
        chunk_size: int = 256,
        max_batches: int | None = None,
        forward_module: str | None = None,
        target: Target = None,
    ) -> None:
        if chunk_size < 2:
            raise ValueError(f"chunk_size is at least 2 (reliance swaps regions between samples), not {chunk_size}.")
        self.attribution = attributions.resolve(attribution)
        self.chunk_size = chunk_size
        self.max_batches = max_batches
        self.forward_module = forward_module
        self.target = target
        self._spurious, self._relevant, self._reliance = SpuriousSaliency(), RelevantSaliency(), Reliance()
        self._metrics: dict[str, Metric] = {
            "spurious_saliency": self._spurious,
            "relevant_saliency": self._relevant,
            "reliance": self._reliance,
        }
        self._warned = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._injection = attach(pl_module, self, forward_module=self.forward_module)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        detach(pl_module, self)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        detach(pl_module, self)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for metric in self._metrics.values():
            metric.to(pl_module.device).reset()

    on_test_epoch_start = on_validation_epoch_start

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if not isinstance(batch, AnnotatedBatch):
            return
        if self.max_batches is not None and batch_idx >= self.max_batches:
            return
        if self._injection.forward_call is None:
            self._warn(self._injection.problem)
            return
        # Here rather than at the epoch's end, when an EMA callback has put the training weights back already.
        with undisturbed(trainer, pl_module):
            self._update(pl_module, batch, seed=batch_idx)

    on_test_batch_end = on_validation_batch_end

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._log(trainer, pl_module, "val")

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._log(trainer, pl_module, "test")

    def _update(self, module: pl.LightningModule, batch: AnnotatedBatch, seed: int) -> None:
        call = self._injection.forward_call
        assert call is not None
        generator = torch.Generator().manual_seed(seed)
        for chunk in chunks(batch, find_target(batch.sample, self.target), self.chunk_size):
            saliency, recording = explain(module, call, self.attribution, chunk)
            annotation = chunk.annotation.to(saliency.device)
            self._spurious.update(saliency, annotation)
            self._relevant.update(saliency, annotation)
            inputs = call.input_of(chunk.tensors)
            if len(inputs) > 1 and annotations.fits(annotation, inputs):
                replaced = replace_spurious(inputs, annotation, generator)
                after = call.run(module, chunk.tensors, replaced=replaced).require_logits()
                self._reliance.update(recording.require_logits(), after, annotation)

    def _log(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        measured = sum_over_ranks(torch.tensor(float(self._spurious.update_count), device=module.device))
        if trainer.sanity_checking or not measured:
            return
        for name, metric in self._metrics.items():
            value = metric.compute()
            if value.isfinite():
                module.log(f"{stage}/{name}", value, batch_size=1)
        undefined = sum_over_ranks(self._spurious.undefined + self._relevant.undefined)
        if undefined:
            module.log(f"{stage}/undefined_maps", undefined, batch_size=1)

    def _warn(self, reason: str) -> None:
        if not self._warned:
            rank_zero_warn(f"SaliencyMetrics measures nothing: {reason}")
            self._warned = True
