"""What salreg callbacks share of one module: its replaced methods, and what its steps have taught about it."""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import pytorch_lightning as pl
from pytorch_lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor

from salreg.callbacks.base import Callback
from salreg.callbacks.introduction import guess, introduction, other_inputs
from salreg.callbacks.overriding import overrides
from salreg.callbacks.plan import Regularizer
from salreg.callbacks.reading import Reading
from salreg.callbacks.replacements import BATCH_HOOKS, TRANSFERS, Replacement, SampleOnly, SampleTransfer
from salreg.callbacks.replay import Replay
from salreg.callbacks.step import Step
from salreg.data import AnnotatedBatch, input_named
from salreg.interventions.inputs import annotated_input
from salreg.taps import StepObserver
from salreg.taps.loss_graph import Link

_NAMED = {
    "forward_module": "modules as forward_module",
    "link": "readings of the loss as link",
    "embedding": "modules as embedding",
}
_STEPS = ("training_step", "validation_step", "test_step", "predict_step")


class Injection:
    """The replacements on one module, its DataModule and the other callbacks, and the callbacks that share them.

    Attributes:
        callbacks: Those that share it, each with what changes batches and adds to the training loss for it, in this order.
        reading: What the training loss says of logits and targets, once a step was seen.
        called: Name of the module that received the input as it is and returned the logits; None where there is none.
    """

    def __init__(self, module: pl.LightningModule) -> None:
        self.module = module
        self.callbacks: dict[pl.Callback, Regularizer | None] = {}
        # What an earlier training of this module has taught serves its tests, not another training.
        fits = getattr(getattr(module._trainer, "state", None), "fn", None) == "fit"
        self.reading: Reading | None = None if fits else _readings.get(module)
        self.called: str | None = None
        self.forward_module: str | None = None
        self.link: Link | None = None
        self.embedding: str | None = None
        self._introduced = False
        self._replays: dict[str, Replay] = {}
        trainer = module._trainer
        data = getattr(trainer, "datamodule", None)
        others = [one for one in getattr(trainer, "callbacks", []) if not isinstance(one, Callback)]
        self._replacements: list[Replacement] = [
            *(Step(module, name, self) for name in _STEPS if callable(getattr(module, name))),
            *(SampleOnly(one, name) for one in (module, *others) for name in BATCH_HOOKS if callable(getattr(one, name))),
            *(SampleTransfer(one, name) for one in (module, data) if one is not None for name in TRANSFERS),
        ]
        for replacement in self._replacements:
            replacement.put_in()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_replacements": []}  # a copied module shares no DataModule and no callback with this one

    def put_back(self) -> None:
        """Give everyone their own methods again."""
        for replacement in self._replacements:
            replacement.put_back()

    def replay(self, step: str) -> Replay:
        """The module's step of that name, to be run again; the training step where it has none of its own."""
        step = step if overrides(self.module, step) else "training_step"
        if step not in self._replays:
            self._replays[step] = Replay(self.module, step)
        replay = self._replays[step]
        replay.forward_module, replay.embedding, replay.told_link = self.forward_module, self.embedding, self.link
        replay.link = None if self.reading is None else self.reading.link
        replay.layout = None if self.reading is None else self.reading.layout
        return replay

    @property
    def regularizers(self) -> list[Regularizer]:
        """What changes batches and adds penalties to the training loss, in this order."""
        return [one for one in self.callbacks.values() if one is not None]

    @property
    def is_monitored(self) -> bool:
        """Whether any of the callbacks looks at batches after their step."""
        return len(self.callbacks) > len(self.regularizers)

    @property
    def prepare(self) -> Callable[[Any], Any] | None:
        """The user's ``on_after_batch_transfer`` of the first loader; the DataModule's comes before the module's."""
        owners = (getattr(self.module._trainer, "datamodule", None), self.module)
        own = next((one for one in owners if one is not None and overrides(one, "on_after_batch_transfer")), None)
        if own is None:
            return None
        hook = own.on_after_batch_transfer
        method = hook.method if isinstance(hook, Replacement) else hook
        return lambda sample: method(sample, 0)

    def explained(self, batch: AnnotatedBatch) -> list[Tensor]:
        """The annotated inputs of a batch; empty if only a layer can be explained."""
        if not isinstance(batch.annotation, Tensor):
            return [input_named(batch.sample, name) for name in batch.annotation]
        try:
            return [annotated_input(batch.annotated_part, batch.annotation).tensor]
        except ValueError:
            return []

    def read(self, observer: StepObserver, loss: Any, batch: AnnotatedBatch, required: bool = False) -> None:
        """Infer from a finished training step where its logits come from, and what its loss shows about them.

        Args:
            observer: That saw it.
            loss: What it returned.
            batch: What it got.
            required: Whether it is an error if the logits cannot be told.
        """
        recording = observer.recording
        try:
            observer.settle(loss if isinstance(loss, Tensor) else None)
        except RuntimeError as error:
            if required:
                place, how = other_inputs(batch)
                if not place:
                    raise
                raise RuntimeError(f"{error} Or is {place} not the annotated input? Then name it: {how}.") from error
        found = recording.found
        if found is None:
            self.reading = self.reading or Reading()
            return
        if recording.options.tap_input:
            self.replay("training_step").learn(found)
            names = {id(one): name for name, one in self.module.named_modules()}
            self.called = names.get(id(recording.module)) if self.called is None else self.called
        if self.reading is None or not self.reading.is_complete:
            self.reading = Reading.of(found, batch.as_given, recording.logits, loss if isinstance(loss, Tensor) else None)
            self._check_input(batch)
            if recording.logits is not None and not self._introduced:
                self._introduced = True
                rank_zero_info(f"salreg: {introduction(self.reading, found, recording, batch)}.")
                if isinstance(loss, Tensor) and self.reading.link is None:
                    rank_zero_warn(guess(found, recording))

    def _check_input(self, batch: AnnotatedBatch) -> None:
        """Refuse to change the loss's target in place of the input."""
        place, how = other_inputs(batch)
        if place and self.reading is not None and self.reading.target_place == place and self.regularizers:
            raise RuntimeError(
                f"The annotations fit several tensors, and the first one, {place}, is what the loss takes for its target. Name "
                f"the annotated input: {how}."
            )


_readings: "WeakKeyDictionary[pl.LightningModule, Reading]" = WeakKeyDictionary()
_injections: "WeakKeyDictionary[pl.LightningModule, Injection]" = WeakKeyDictionary()


def attach(
    module: pl.LightningModule,
    callback: pl.Callback,
    *,
    forward_module: str | None = None,
    link: str | None = None,
    embedding: str | None = None,
    regularizer: Regularizer | None = None,
) -> Injection:
    """Make a callback one of those that share the module's injection, installing it for the first.

    Raises:
        ValueError: ``forward_module``, ``link`` or ``embedding`` differs from another callback's.
    """
    injection = _injections.get(module) or _injections.setdefault(module, Injection(module))
    injection.callbacks.setdefault(callback, regularizer)
    for what, name in (("forward_module", forward_module), ("link", link), ("embedding", embedding)):
        if name is not None:
            earlier = getattr(injection, what)
            if earlier not in (None, name):
                raise ValueError(f"Two salreg callbacks name different {_NAMED[what]}: {earlier!r} and {name!r}.")
            setattr(injection, what, name)
    return injection


def detach(module: pl.LightningModule, callback: pl.Callback) -> None:
    """Undo ``attach``; the last callback to leave puts the module's own methods back. Harmless when repeated."""
    injection = _injections.get(module)
    if injection is None or callback not in injection.callbacks:
        return
    del injection.callbacks[callback]
    if not injection.callbacks:
        _injections.pop(module).put_back()
        if injection.reading is not None:
            _readings[module] = injection.reading
