"""What is replaced on a LightningModule while salreg callbacks are attached, and put back afterwards.

Two things: every method that Lightning gives a batch sees the plain sample, never the annotated batch; and steps run
under observation where a callback wants it, so that regularizers can add their penalty to the loss and monitors learn how
the module calls its network. The replacements are callable objects rather than closures: they pickle, and a deep copy of
the module (EMA) is bound to the copy.
"""

import functools
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, cast
from weakref import WeakKeyDictionary

import pytorch_lightning as pl
from lightning_fabric.utilities.apply_func import move_data_to_device
from torch import Tensor, nn

from salreg.callbacks.forward_call import ForwardCall
from salreg.data import AnnotatedBatch
from salreg.differentiation import is_compiled, kept_whole, twice_differentiable
from salreg.taps import Layer, Recording, WithSlope, find_layer, record

_STEPS = ("training_step", "validation_step", "test_step", "predict_step")
_BATCH_HOOKS = tuple(
    f"on_{stage}_batch_{edge}" for stage in ("train", "validation", "test", "predict") for edge in ("start", "end")
)
_TRANSFERS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


class Regularizer(Protocol):
    """A callback that changes training batches, or adds a penalty to the training loss."""

    @property
    def intervenes(self) -> bool:
        """Whether it changes training batches."""

    def intervene(self, batch: AnnotatedBatch, module: pl.LightningModule) -> AnnotatedBatch:
        """The batch to train on in place of another."""

    def wants(self) -> bool:
        """Whether the coming step is penalised. Asked once per step."""

    def check_unannotated(self) -> bool:
        """Whether batches without annotations are penalised, too; an error if they should have some."""

    def layers(self) -> list[Layer]:
        """The layers whose outputs are taps."""

    def needs(self, batch: AnnotatedBatch, module: pl.LightningModule) -> "Needs":
        """What the coming forward pass has to provide."""

    def with_slope(self, batch: AnnotatedBatch, alone: bool) -> WithSlope | None:
        """What makes the forward pass and takes its gradient in one go, where that is wanted and nobody else needs the pass."""

    def penalise(self, loss: Tensor, recording: Recording, batch: AnnotatedBatch, module: pl.LightningModule) -> Tensor:
        """The loss with the penalty added."""


class Needs(NamedTuple):
    """What regularizers need of a training step's forward pass.

    Attributes:
        taps: Whether its input and layers are taps, or samples get a pass of their own later.
        exact: Whether it runs on kernels that have a second derivative.
        late_terms: Whether terms of the loss may run it again when its graph is gone.
    """

    taps: bool
    exact: bool
    late_terms: bool


class Injection:
    """The replacements on one module, and the callbacks that share them.

    Attributes:
        regularizers: Add their penalties to the training loss, in this order.
        forward_module: Name of the module whose output is the logits, where a callback gives one.
        embedding: Name of the module that embeds token numbers, likewise.
        forward_call: How the module calls its network, once a step was seen.
        called: Name of the module that received the input in the first penalised step.
        problem: Why that could not be learned from the last step seen.
    """

    def __init__(self, module: pl.LightningModule) -> None:
        self.callbacks: list[pl.Callback] = []
        self.regularizers: list[Regularizer] = []
        self.forward_module: str | None = None
        self.embedding: str | None = None
        self.forward_call: ForwardCall | None = None
        self.called: str | None = None
        self.problem = "No step of the module has been seen with an annotated batch yet."
        self._replacements: list[Replacement] = [
            *(Step(module, name, self) for name in _STEPS if callable(getattr(module, name))),
            *(SampleOnly(module, name) for name in _BATCH_HOOKS if callable(getattr(module, name))),
            *(SampleTransfer(module, name) for name in _TRANSFERS),
        ]
        for replacement in self._replacements:
            setattr(module, replacement.name, replacement)

    def put_back(self) -> None:
        """Give the module its own methods again."""
        for replacement in self._replacements:
            replacement.put_back()

    def call_on(self, input_index: int | None) -> ForwardCall | None:
        """The learned call, with that one of the batch's tensors as the explained one if it is given."""
        if self.forward_call is None or input_index is None:
            return self.forward_call
        return replace(self.forward_call, input_index=input_index)

    def learn(self, module: pl.LightningModule, recording: Recording, sample: Any) -> None:
        """Remember how the module calls its network."""
        try:
            self.forward_call = ForwardCall.learn(module, recording, sample, self.forward_module, self.embedding)
        except RuntimeError as error:
            try:
                self.forward_call = ForwardCall.of_forward(module, sample)
            except RuntimeError:
                self.problem = str(error)


_injections: "WeakKeyDictionary[pl.LightningModule, Injection]" = WeakKeyDictionary()


def attach(
    module: pl.LightningModule,
    callback: pl.Callback,
    *,
    forward_module: str | None = None,
    embedding: str | None = None,
    regularizer: Regularizer | None = None,
) -> Injection:
    """Make a callback one of those that share the module's injection, installing it for the first.

    Raises:
        ValueError: ``forward_module`` or ``embedding`` differs from another callback's.
    """
    injection = _injections.get(module) or _injections.setdefault(module, Injection(module))
    if callback not in injection.callbacks:
        injection.callbacks.append(callback)
        if regularizer is not None:
            injection.regularizers.append(regularizer)
    for what, name in (("forward_module", forward_module), ("embedding", embedding)):
        if name is not None:
            earlier = getattr(injection, what)
            if earlier not in (None, name):
                raise ValueError(f"Two salreg callbacks name different modules as {what}: {earlier!r} and {name!r}.")
            setattr(injection, what, name)
    return injection


def detach(module: pl.LightningModule, callback: pl.Callback) -> None:
    """Undo ``attach``; the last callback to leave puts the module's own methods back. Harmless when repeated."""
    injection = _injections.get(module)
    if injection is None or callback not in injection.callbacks:
        return
    injection.callbacks.remove(callback)
    injection.regularizers = [one for one in injection.regularizers if one is not cast(Any, callback)]
    if not injection.callbacks:
        _injections.pop(module).put_back()


class Replacement:
    """Stands for a method of a module, as an attribute of the instance.

    It holds the module and the method's name rather than the bound method, which would not survive pickling under the
    name that it is stored as.
    """

    def __init__(self, module: pl.LightningModule, name: str) -> None:
        self.module, self.name = module, name
        self.replaced = vars(module).get(name)
        functools.update_wrapper(cast(Any, self), self.method)
        del self.__wrapped__  # looked up anew below, so that a copy follows its own module

    @property
    def method(self) -> Callable[..., Any]:
        return self.replaced or getattr(type(self.module), self.name).__get__(self.module)

    def __getattr__(self, name: str) -> Any:
        if name == "__wrapped__":  # through which Lightning sees the signature, and whether the user overrode the method
            return self.method
        raise AttributeError(name)

    def put_back(self) -> None:
        if self.replaced is None:
            vars(self.module).pop(self.name, None)
        else:
            setattr(self.module, self.name, self.replaced)


class SampleOnly(Replacement):
    """Calls the method with the plain sample in place of an annotated batch."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.method(*map(_sample, args), **{name: _sample(value) for name, value in kwargs.items()})


class SampleTransfer(Replacement):
    """Calls a transfer hook with the plain sample, and lets the annotation follow to the sample's device."""

    def __call__(self, batch: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(batch, AnnotatedBatch):
            return self.method(batch, *args, **kwargs)
        marks = batch.annotation, batch.looked_at
        if self.name == "transfer_batch_to_device":
            marks = move_data_to_device(marks, kwargs["device"] if "device" in kwargs else args[0])
        return AnnotatedBatch(self.method(batch.sample, *args, **kwargs), *marks)


class Step(Replacement):
    """Runs the user's step once, with the plain sample."""

    def __init__(self, module: pl.LightningModule, name: str, injection: Injection) -> None:
        super().__init__(module, name)
        self.injection = injection

    def __call__(self, batch: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(batch, AnnotatedBatch):
            # A validation step may call self.training_step, too.
            if self.name != "training_step" or not self.module.trainer.training or not self._penalises_unannotated():
                return self.method(batch, *args, **kwargs)
            batch = AnnotatedBatch.unannotated(batch)
        if self.name == "training_step":
            batch = self._intervened(batch)
        penalising = self.name == "training_step" and [r for r in self.injection.regularizers if r.wants()]
        run = functools.partial(self.method, batch.sample, *args, **kwargs)
        if penalising:
            return self._penalised(run, penalising, batch)
        if self.injection.forward_call is None and not is_compiled(self.module):
            return self._observed(run, batch)
        return run()

    def _intervened(self, batch: AnnotatedBatch) -> AnnotatedBatch:
        """The batch that the first regularizer that changes any makes of it."""
        first = next((one for one in self.injection.regularizers if one.intervenes), None)
        return batch if first is None else first.intervene(batch, self.module)

    def _penalises_unannotated(self) -> bool:
        return any([regularizer.check_unannotated() for regularizer in self.injection.regularizers])  # noqa: C419  # ask all

    def _observed(self, run: Callable[[], Any], batch: AnnotatedBatch) -> Any:
        with self._record([], batch, tap_input=False) as recording:
            output = run()
        self.injection.learn(self.module, recording, batch.sample)
        return output

    def _penalised(self, run: Callable[[], Any], regularizers: list[Regularizer], batch: AnnotatedBatch) -> Any:
        layers = [layer for regularizer in regularizers for layer in regularizer.layers()]
        needs = Needs(*map(any, zip(*(regularizer.needs(batch, self.module) for regularizer in regularizers), strict=True)))
        with ExitStack() as stack:
            # Nothing is seen of a step that is compiled itself.
            eager = (needs.taps and needs.exact) or self.module._compiler_ctx is not None
            together = self._with_slope(regularizers, batch) if needs.taps else None
            if needs.taps and eager:
                stack.enter_context(twice_differentiable(self.module, compiled=together is not None))
            observed = self._record(
                layers,
                batch,
                needs.taps,
                in_training=True,
                late_terms=needs.late_terms,
                stays_compiled=not eager,
                with_slope=together,
            )
            recording = stack.enter_context(observed)
            until_penalised = stack.enter_context(ExitStack())
            until_penalised.enter_context(kept_whole(self.module))

            def penalise(loss: Tensor) -> Tensor:
                recording.close()
                for regularizer in regularizers:
                    loss = regularizer.penalise(loss, recording, batch, self.module)
                until_penalised.close()
                return loss

            if self.module.automatic_optimization:
                output = _with_loss(run(), penalise)
            else:
                output = self._with_manual_backward(run, penalise, recording)
        if self.injection.forward_call is None:
            self.injection.learn(self.module, recording, batch.sample)
        if self.injection.called is None:
            self.injection.called = {id(one): name for name, one in self.module.named_modules()}.get(id(recording.module))
        return output

    def _with_slope(self, regularizers: list[Regularizer], batch: AnnotatedBatch) -> tuple[nn.Module, WithSlope] | None:
        """The module that makes the observed call, and what makes it together with its gradient."""
        called = self.injection.called
        if called is None or self.module._compiler_ctx is not None:
            return None
        slopes = [regularizer.with_slope(batch, alone=len(regularizers) == 1) for regularizer in regularizers]
        return None if slopes[0] is None else (self.module.get_submodule(called), slopes[0])

    def _with_manual_backward(self, run: Callable[[], Any], penalise: Callable[[Tensor], Tensor], recording: Recording) -> Any:
        """Add the penalty to the first ``manual_backward`` after the forward pass; the returned loss is left alone."""
        backward = self.module.manual_backward
        pending = True

        def penalised_backward(loss: Tensor, *args: Any, **kwargs: Any) -> None:
            nonlocal pending
            if pending and recording.logits is not None:
                pending, loss = False, penalise(loss)
            backward(loss, *args, **kwargs)

        self.module.manual_backward = penalised_backward  # type: ignore[method-assign]
        try:
            output = run()
        finally:
            vars(self.module).pop("manual_backward")
        if pending:
            recording.require_logits()
            raise RuntimeError(
                "The step called no self.manual_backward(loss) after the forward pass, so there was no loss to add the "
                "penalty to. Use self.manual_backward(loss) instead of loss.backward()."
            )
        return output

    def _record(self, layers: list[Layer], batch: AnnotatedBatch, tap_input: bool, **options: Any) -> Any:
        forward_module, embedding = (
            None if name is None else find_layer(self.module, name)
            for name in (self.injection.forward_module, self.injection.embedding)
        )
        return record(
            self.module,
            layers,
            batch=batch.sample,
            forward_module=forward_module,
            embedding=embedding,
            tap_input=tap_input,
            inputs=list(batch.annotated_inputs.values()),
            **options,
        )


def _sample(value: Any) -> Any:
    return value.sample if isinstance(value, AnnotatedBatch) else value


def _with_loss(output: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A step's output with its loss changed: a tensor, a mapping with "loss", or None (the step was skipped)."""
    if output is None:
        return None
    if isinstance(output, Mapping):
        return {**output, "loss": change(output["loss"])}
    return change(output)
