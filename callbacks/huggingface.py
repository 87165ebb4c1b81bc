"""SaliencyRegularizer for Hugging Face's Trainer and those derived from it, such as TRL's."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from salreg.callbacks.regularizer import SaliencyRegularizer
from salreg.data import AnnotatedBatch, AnnotatedSample, Collate

#: The key of a batch under which its annotations travel to the device, beside what the model takes.
_KEY = "salreg"
#: The column of a data set that may hold them.
_COLUMN = "annotation"


class SaliencyTrainerMixin:
    """Makes Hugging Face's ``Trainer`` train a model not to use what is marked as spurious.

    Put it before the Trainer in the list of base classes. The training set is an ``AnnotatedDataset``, or has a column
    ``annotation`` with a list as long as each text (``datasets.Dataset.add_column``; None if nobody looked). The model, the
    data collator and evaluation see plain samples. ``compute_loss`` intervenes on the batch and adds the penalty, if there is
    one, before the Trainer scales the loss and takes its gradient, so that mixed precision, gradient accumulation and
    accelerate work as without the mixin. ``salreg/penalty``, ``salreg/intervened`` and the other metrics are logged along with
    the loss.

    Data columns that the model does not accept are removed, as the Trainer does with its own data sets, unless its arguments
    say ``remove_unused_columns=False``.

    Args:
        *args: Passed to the Trainer.
        saliency: A ``SaliencyRegularizer``, or its arguments by name; by default an intervention and no penalty. Layer names
            are those of the model with the prefix ``model.``.
        **kwargs: Passed to the Trainer.

    Raises:
        TypeError: ``saliency`` has another type, or the class after the mixin is not a Trainer.
        RuntimeError: A penalty is combined with FSDP, DeepSpeed or ``nn.DataParallel`` (raised at the first step); otherwise as
            for ``SaliencyRegularizer``.

    Example:
        >>> import transformers
        >>> class SaliencyTrainer(SaliencyTrainerMixin, transformers.Trainer):
        ...     pass
        >>> trainer = SaliencyTrainer(model, arguments, train_dataset=AnnotatedDataset(data, annotations))  # doctest: +SKIP
        >>> trainer.train()  # doctest: +SKIP

    TRL's ``SFTTrainer`` accepts only a ``datasets.Dataset``: tokenise it, add the column, and pass
    ``SFTConfig(dataset_kwargs={"skip_prepare_dataset": True})``, so that tokens and marks stay aligned.
    """

    args: Any
    model: Any
    accelerator: Any

    def __init__(self, *args: Any, saliency: SaliencyRegularizer | Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        if not hasattr(super(), "compute_loss"):
            raise TypeError(
                "SaliencyTrainerMixin must come before a Trainer in the list of base classes: class "
                "SaliencyTrainer(SaliencyTrainerMixin, transformers.Trainer): pass."
            )
        if not isinstance(saliency, SaliencyRegularizer | Mapping | None):
            raise TypeError(f"saliency must be a SaliencyRegularizer or its arguments by name, not {saliency!r}.")
        self.saliency = saliency if isinstance(saliency, SaliencyRegularizer) else SaliencyRegularizer(**(saliency or {}))
        self._step: _TrainerStep | None = None
        super().__init__(*args, **kwargs)
        trainer: Any = self
        trainer.data_collator = _Collator(trainer.data_collator, self._taken_columns)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train as the Trainer does, with the same arguments."""
        try:
            result = super().train(*args, **kwargs)  # type: ignore[misc]
            if self._step is not None:
                self.saliency.on_train_epoch_end(self._step.trainer, self._step)
            return result
        finally:
            if self._step is not None:
                self.saliency.teardown(self._step.trainer, self._step, "fit")
                self._step = None

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None, **kwargs: Any
    ) -> Any:
        """The Trainer's loss on the changed batch, plus the penalty; takes the Trainer's arguments."""

        def plain(sample: Any) -> tuple[Tensor, Any]:
            return super(SaliencyTrainerMixin, self).compute_loss(  # type: ignore[misc]
                model, sample, return_outputs=True, num_items_in_batch=num_items_in_batch, **kwargs
            )

        sample, batch = _unpacked(inputs)
        if model.training and torch.is_grad_enabled():
            step = self._step_of(model)
            step.scale = self._accumulated(num_items_in_batch)
            loss, outputs = step.run(plain, sample if batch is None else batch)
        else:
            loss, outputs = plain(sample)
        return (loss, outputs) if return_outputs else loss

    def prediction_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The Trainer's prediction step on the plain sample, with the same arguments."""
        return super().prediction_step(model, _unpacked(inputs)[0], *args, **kwargs)  # type: ignore[misc]

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log what the Trainer logs, and with each training loss the means of salreg's metrics since the previous one."""
        if "loss" in logs and self._step is not None:
            logs = {**logs, **self._step.take_noted()}
        super().log(logs, *args, **kwargs)  # type: ignore[misc]

    def _step_of(self, model: Any) -> "_TrainerStep":
        if self._step is None or self._step.model is not model:
            if self.saliency.weight > 0:
                self._check_parallel(model)
            self._step = _TrainerStep(model)
            self.saliency.setup(self._step.trainer, self._step, "fit")
            self.saliency.on_fit_start(self._step.trainer, self._step)
        return self._step

    def _check_parallel(self, model: Any) -> None:
        sharded = [what for what in ("fsdp", "deepspeed") if getattr(self, f"is_{what}_enabled", False)]
        if sharded or isinstance(model, torch.nn.DataParallel):
            raise RuntimeError(
                f"A penalty does not work with {sharded[0] if sharded else 'nn.DataParallel'} in Hugging Face's Trainer. Train "
                "on one device or with DDP (torchrun --nproc-per-node=...), or use the intervention without a penalty."
            )

    def _accumulated(self, num_items_in_batch: Any) -> int:
        """The number of batches that the Trainer has already averaged the loss over, because it counted all of their tokens."""
        steps = getattr(self, "current_gradient_accumulation_steps", self.args.gradient_accumulation_steps)
        scaled = getattr(self, "loss_is_scaled_for_ga", None)
        if scaled is None:
            counts = getattr(self, "model_accepts_loss_kwargs", False) or getattr(self, "compute_loss_func", None) is not None
            scaled = counts and num_items_in_batch is not None
        return int(steps) if scaled else 1

    def _set_signature_columns_if_needed(self) -> None:
        """Name the columns that the Trainer keeps in a ``datasets.Dataset``."""
        trainer: Any = self
        super()._set_signature_columns_if_needed()  # type: ignore[misc]
        if _COLUMN not in trainer._signature_columns:
            trainer._signature_columns = [*trainer._signature_columns, _COLUMN]

    def _taken_columns(self) -> set[str] | None:
        """The columns that the model accepts; None if all are kept."""
        if not self.args.remove_unused_columns:
            return None
        trainer: Any = self
        trainer._set_signature_columns_if_needed()
        return set(trainer._signature_columns)


class _Collator:
    """Applies the Trainer's data collator to the plain samples, and adds their annotations to the batch."""

    def __init__(self, collator: Any, taken: Callable[[], set[str] | None]) -> None:
        self.collator, self.taken = collator, taken

    def __call__(self, samples: list[Any]) -> Any:
        samples = [_annotated(one) for one in samples]
        if not any(isinstance(one, AnnotatedSample) for one in samples):
            return self.collator(samples)
        taken = self.taken()
        own = self.collator.collate_fn if isinstance(self.collator, Collate) else self.collator
        batch = Collate(lambda plain: own([_columns(one, taken) for one in plain]))(samples)
        return {**batch.sample, _KEY: {"annotation": batch.annotation, "looked_at": batch.looked_at}}


def _annotated(sample: Any) -> Any:
    """A sample with the annotation from its column, if it has one."""
    if isinstance(sample, AnnotatedSample) or not isinstance(sample, Mapping) or _COLUMN not in sample:
        return sample
    plain = {name: value for name, value in sample.items() if name != _COLUMN}
    marks = sample[_COLUMN]
    return plain if marks is None else AnnotatedSample(plain, torch.as_tensor(marks, dtype=torch.int8), True)


def _columns(sample: Any, taken: set[str] | None) -> Any:
    if not isinstance(sample, Mapping):
        raise TypeError(
            f"The samples are of type {type(sample).__name__}; Hugging Face's Trainer needs dictionaries whose keys are the "
            "model's arguments, such as a tokenizer returns."
        )
    return {name: value for name, value in sample.items() if taken is None or name in taken}


def _unpacked(inputs: Any) -> tuple[Any, AnnotatedBatch | None]:
    """The model's inputs, and the annotated batch or None."""
    if isinstance(inputs, AnnotatedBatch):
        return inputs.sample, inputs
    if not isinstance(inputs, Mapping) or _KEY not in inputs:
        return inputs, None
    sample = {name: value for name, value in inputs.items() if name != _KEY}
    return sample, AnnotatedBatch(sample, **inputs[_KEY])


class _TrainerStep(pl.LightningModule):
    """The model as a LightningModule whose training step is the Trainer's loss, so that a regularizer can be attached to it.

    Attributes:
        scale: The number that the loss was already divided by, so that the penalty is divided by it too.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.scale = 1
        self._plain: Any = None
        self._outputs: Any = None
        self._noted: dict[str, list[Any]] = {}
        self._trainer: Any = SimpleNamespace(
            training=True,
            strategy=None,
            optimizers=[],
            callbacks=[],
            datamodule=None,
            state=SimpleNamespace(fn="fit"),
            progress_bar_callback=None,
            is_global_zero=True,
            loggers=[],
        )

    def run(self, plain: Callable[[Any], tuple[Tensor, Any]], batch: Any) -> tuple[Tensor, Any]:
        """The loss with the penalty, and the model's output."""
        self._plain, self._outputs = plain, None
        try:
            return self.training_step(batch, 0) / self.scale, self._outputs
        finally:
            self._plain = self._outputs = None

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss, self._outputs = self._plain(batch)
        return loss * self.scale

    def log(self, name: str, value: Any, *args: Any, **kwargs: Any) -> None:
        """Keep a step's value for the Trainer's next log, which is a mean over steps; ignore values of a whole epoch."""
        if kwargs.get("logger") is False:
            return
        self._noted.setdefault(name, []).append(value.detach() if isinstance(value, Tensor) else value)

    def take_noted(self) -> dict[str, float]:
        """The means since the previous call."""
        means = {name: sum(map(float, values)) / len(values) for name, values in self._noted.items()}
        self._noted = {}
        return means
