"""The callback that measures saliency and reliance on validation and test data."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_warn
from torch import Tensor
from torchmetrics import Metric

from salreg import attributions
from salreg.attributions import Attribution, MapFunction
from salreg.callbacks.base import Callback
from salreg.callbacks.behaviour import Behaviour
from salreg.callbacks.constant_columns import RowMaps
from salreg.callbacks.injection import attach, detach
from salreg.callbacks.monitoring import Chunk, explain, run, undisturbed
from salreg.callbacks.predictions import ABSENT, joined, predicted
from salreg.callbacks.replay import Replay
from salreg.callbacks.settings import check_metrics
from salreg.callbacks.targets import Target, find_target
from salreg.data import AnnotatedBatch
from salreg.distributed import sum_over_ranks
from salreg.metrics import (
    Comprehensiveness,
    RationaleF1,
    RelevantSaliency,
    SpuriousSaliency,
    Sufficiency,
    WorstGroupAccuracy,
)


class SaliencyMetrics(Callback):
    """Logs where a model looks, and whether it relies on the spurious region, on annotated validation and test batches.

    It logs per epoch and stage (``val`` or ``test``), each only if there are samples it applies to:

    - ``<stage>/spurious_saliency``, ``<stage>/relevant_saliency``: shares of saliency on the marks; ``<stage>/undefined_maps``
      counts maps without any saliency, which the shares leave out. Columns of a table that hold one value only have none.
    - ``<stage>/reliance_content``: of the samples with a spurious mark, the share whose prediction changes when the region
      shows another sample's content; ``<stage>/reliance_removal``: when the marked feature is removed (not for tables).
      ``<stage>/reliance_insertion``: of the samples that somebody looked at without marking anything as spurious, the share
      whose prediction changes when another sample's marked feature is inserted. ``<stage>/reliance`` is the largest of the
      three. They are NaN if the model outputs NaN. For a regression, reliance is how far the output moves, in units of
      ``<stage>/output_spread``, its standard deviation over the samples (``salreg.metrics.RegressionReliance``).
    - ``<stage>/accuracy_under_intervention``, if targets are class indices: the accuracy on the samples that somebody looked
      at, when content and presence are drawn independently of the label, as ``salreg.interventions.Intervention`` does. It says
      how good the model is without the shortcut.
    - ``<stage>/constant_predictions``: 1 if at least 98% of the predictions, but fewer of the labels, are one class. Reliance
      then says nothing.
    - ``<stage>/worst_group_accuracy``, if groups are given; with ``rationale``, ``<stage>/rationale_f1``, ``comprehensiveness``
      and ``sufficiency``.

    If a model returns logits for many tokens, each unmarked labelled token counts as a sample does otherwise; for answer spans,
    each start and each end does.

    Everything is computed in eval mode, in chunks, after the module's own step; training is bit-identical to training without
    this callback.

    Args:
        attribution: The saliency to measure.
        chunk_size: Samples per forward pass.
        max_batches: The number of batches to measure from the start of each epoch; all of them by default.
        group: The key (of a mapping) or position (in a tuple) of the groups ``(B,)`` in a batch, integers from 0. If given, the
            accuracy of the worst group is logged.
        groups: The number of groups.
        rationale: Whether to measure how well the most salient places agree with the relevant marks, and how much the model
            depends on these places. This takes 12 more forward passes.
        input: The name of the annotated input to measure, if there are several; by default the first.
        forward_module: As in ``SaliencyRegularizer``; so are ``link``, ``embedding`` and ``target``.
        name: Part of the keys, ``<stage>/<name>/...``; if a Trainer has several of these callbacks, give each its own name.

    Example:
        >>> trainer = pl.Trainer(callbacks=[SaliencyMetrics(max_batches=4)], logger=False)
    """

    def __init__(
        self,
        attribution: str | Attribution | dict[str, Any] | MapFunction = "input_gradient",
        *,
        chunk_size: int = 256,
        max_batches: int | None = None,
        group: Target = None,
        groups: int = 2,
        rationale: bool = False,
        input: str | None = None,
        forward_module: str | None = None,
        link: str | None = None,
        embedding: str | None = None,
        target: Target = None,
        name: str = "",
    ) -> None:
        check_metrics(locals())
        self.attribution = attributions.resolve(attribution)
        self.chunk_size = chunk_size
        self.max_batches = max_batches
        self.group = group
        self.input = input
        self.forward_module = forward_module
        self.link = link
        self.embedding = embedding
        self.target = target
        self.name = name
        self._spurious, self._relevant = SpuriousSaliency(), RelevantSaliency()
        self._worst = None if group is None else WorstGroupAccuracy(groups)
        self._behaviour, self._rows = Behaviour(), RowMaps()
        self._metrics: dict[str, Metric] = {"spurious_saliency": self._spurious, "relevant_saliency": self._relevant}
        if self._worst is not None:
            self._metrics["worst_group_accuracy"] = self._worst
        self._rationale = {"comprehensiveness": Comprehensiveness(), "sufficiency": Sufficiency()} if rationale else {}
        self._f1 = RationaleF1()
        self._metrics |= {"rationale_f1": self._f1, **self._rationale} if rationale else {}
        self._gave_up = False
        self._logged: dict[str, list[str]] = {}

    @property
    def state_key(self) -> str:
        return self._generate_state_key(name=self.name)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._injection = attach(pl_module, self, forward_module=self.forward_module, link=self.link, embedding=self.embedding)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._gave_up = False
        self._logged.clear()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        detach(pl_module, self)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        detach(pl_module, self)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for metric in self._metrics.values():
            metric.to(pl_module.device).reset()
        self._behaviour.reset(pl_module.device)
        self._rows.reset()

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
        self._observe(trainer, pl_module, batch, batch_idx, "validation_step")

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._observe(trainer, pl_module, batch, batch_idx, "test_step")

    def _observe(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int, step: str) -> None:
        """Measure a batch; on failure, warn once and measure nothing, because a metric must not stop a training."""
        beyond = self.max_batches is not None and batch_idx >= self.max_batches
        if self._gave_up or beyond or not isinstance(batch, AnnotatedBatch):
            return
        # Here rather than at the epoch's end, when an EMA callback has put the training weights back already.
        try:
            with undisturbed(trainer, module):
                self._update(self._injection.replay(step), batch)
        except Exception as error:
            if trainer.sanity_checking and self._injection.reading is None:
                return  # the training has yet to tell how the logits are laid out
            self._gave_up = True
            rank_zero_warn(f"SaliencyMetrics measures nothing: {error}")

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._log(trainer, pl_module, "val")

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._log(trainer, pl_module, "test")

    def _update(self, replay: Replay, batch: AnnotatedBatch) -> None:
        samples = Chunk.whole(batch, self.target, self.input, self._injection.reading)
        if self._injection.reading is None:
            if replay.found is None:  # the loss that the step logs says where the targets are
                run(replay, samples[slice(self.chunk_size)])
            samples = Chunk.whole(batch, self.target, self.input, replay.reading)
        predictions = []
        for chunk in samples.pieces(self.chunk_size):
            saliency, recording = explain(replay, self.attribution, chunk)
            annotation = recording.without_padding(chunk.annotation.to(saliency.device))
            if not self._rows.waits(recording.given, saliency, annotation):
                self._share(saliency, annotation)
            predictions.append(predicted(recording, chunk))
            self._f1.update(saliency, annotation)
            if recording.link not in ("tokens", "span"):  # what would the probability of many places be?
                self._depend(replay, chunk, recording.floating_input(), saliency, annotation)
        before = joined(predictions)
        self._behaviour.update(replay, samples, before, self.chunk_size)
        if self._worst is not None and before.output is not None:
            raise ValueError("a regression has no worst-group accuracy. Remove group=...")
        if self._worst is not None and before.target is not None:
            group = find_target(samples.sample, self.group)  # the step may have changed its batch in place
            assert group is not None
            there = before.classes != ABSENT
            self._worst.update(before.classes[there], before.target[there], group.unsqueeze(1).expand_as(there)[there])

    def _share(self, saliency: Tensor, annotation: Tensor) -> None:
        self._spurious.update(saliency, annotation)
        self._relevant.update(saliency, annotation)

    def _depend(
        self,
        replay: Replay,
        chunk: Chunk,
        inputs: Tensor,
        saliency: Tensor,
        annotation: Tensor,
    ) -> None:
        """Measure how much the model depends on the most salient places, if these are places of the input."""

        def predict(replaced: Tensor) -> Tensor:
            return run(replay, chunk, replaced=replaced).require_logits()

        if saliency.shape[2:] == inputs.shape[2:]:
            for metric in self._rationale.values():
                metric.update(predict, inputs, saliency, annotation if annotation.ndim == 2 else None)

    def _log(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        for saliency, annotation in self._rows.without_constant_columns(module.device):
            self._share(saliency, annotation)
        for key in self._logged.pop(stage, ()):  # in an earlier epoch, which may have measured what this one does not
            trainer.callback_metrics.pop(key, None)
        measured = sum_over_ranks(torch.tensor(float(self._spurious.update_count), device=module.device))
        failed = sum_over_ranks(torch.tensor(float(self._gave_up), device=module.device))
        if trainer.sanity_checking or not measured or failed:
            return
        prefix = f"{stage}/{self.name}" if self.name else stage
        values: dict[str, Tensor] = {}
        for name, metric in self._metrics.items():
            value, undefined = metric.compute(), sum_over_ranks(getattr(metric, "undefined", torch.zeros(1)).to(module.device))
            if value.isfinite() or undefined.any():  # NaN where there were samples, and no map of them was defined
                values[name] = value
        values |= self._behaviour.compute()
        undefined = sum_over_ranks(self._spurious.undefined + self._relevant.undefined)
        if undefined:
            values["undefined_maps"] = undefined
        for name, value in values.items():
            module.log(f"{prefix}/{name}", value, prog_bar=name == "reliance", batch_size=1)
        self._logged[stage] = [f"{prefix}/{name}" for name in values]
