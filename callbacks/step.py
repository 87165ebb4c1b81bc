"""The user's step, run once with the plain sample, under observation where a regularizer wants it."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from torch import Tensor, nn

from salreg.callbacks.plan import Plan
from salreg.callbacks.replacements import Replacement, gathered
from salreg.callbacks.replay import loss_in
from salreg.callbacks.step_errors import refuses_taps, with_remedy
from salreg.data import AnnotatedBatch
from salreg.differentiation import in_backward, is_compiled, kept_whole, twice_differentiable
from salreg.random_state import RandomState
from salreg.taps import StepObserver, WithGradient, copied, shells

if TYPE_CHECKING:
    from salreg.callbacks.injection import Injection


class Step(Replacement):
    """Stands for one of a module's steps."""

    def __init__(self, module: pl.LightningModule, name: str, injection: "Injection") -> None:
        super().__init__(module, name)
        self.injection = injection

    def __call__(self, batch: Any, *args: Any, **kwargs: Any) -> Any:
        if hasattr(batch, "__next__") and not isinstance(batch, AnnotatedBatch):  # a dataloader_iter
            batch, *places = next(batch)
            return self._run(gathered(batch), lambda sample: self.method(iter([(sample, *places)]), *args, **kwargs))
        return self._run(gathered(batch), lambda sample: self.method(sample, *args, **kwargs))

    def _run(self, batch: Any, method: Callable[[Any], Any]) -> Any:
        training = self.name == "training_step"
        if not isinstance(batch, AnnotatedBatch):
            # A validation step may call self.training_step, too.
            if not training or not self.owner.trainer.training or not self._penalises_unannotated():
                return method(batch)
            batch = AnnotatedBatch.unannotated(batch)
        if training:
            batch.untouched = shells(batch.sample)  # the step may take the labels out of it
            batch = self._intervened(batch)
            batch = replace(batch, untouched=shells(batch.sample))

        def run(sample: Any) -> Any:
            return method(sample if batch.prepare is None else batch.prepare(sample))

        plans = [plan for one in self.injection.regularizers if (plan := one.plan(batch, self.owner))] if training else []
        if plans:
            return self._penalised(run, plans, batch)
        if training and self.injection.reading is None and not is_compiled(self.owner):
            return self._looked_at(run, batch)
        if not training and self.injection.is_monitored:
            batch.untouched = copied(batch.sample)
        return run(batch.sample)

    def _intervened(self, batch: AnnotatedBatch) -> AnnotatedBatch:
        """The batch that the first regularizer that changes any makes of it."""
        first = next((one for one in self.injection.regularizers if one.intervenes), None)
        return batch if first is None else first.intervene(batch, self.owner)

    def _penalises_unannotated(self) -> bool:
        return any([regularizer.check_unannotated() for regularizer in self.injection.regularizers])  # noqa: C419  # ask all

    def _looked_at(self, run: Callable[[Any], Any], batch: AnnotatedBatch) -> Any:
        """Learn from a step that is not penalised where its targets lie."""
        replay = self.injection.replay("training_step")
        observer = StepObserver(self.owner, replay.options(tap_input=False, in_training=True))
        with observer.watching():
            output = run(observer.enter(replay, (batch.sample, batch.prepare), {})[0][0])
            self.injection.read(observer, loss_in(output), batch)
        return output

    def _penalised(self, run: Callable[[Any], Any], plans: list[Plan], batch: AnnotatedBatch) -> Any:
        replay, rng = self.injection.replay("training_step"), RandomState(self.owner)
        try:
            return self._observed(run, plans, batch)
        except (RuntimeError, TypeError) as error:
            if replay.at_entry or not refuses_taps(error) or not self.owner.automatic_optimization:
                raise with_remedy(error) from error
        replay.at_entry = True
        rng.restore()
        return self._observed(run, plans, batch)

    def _observed(self, run: Callable[[Any], Any], plans: list[Plan], batch: AnnotatedBatch) -> Any:
        module, replay = self.owner, self.injection.replay("training_step")
        taps = any(plan.taps for plan in plans)
        searching = not taps and replay.found is None  # where the logits come from only a tap can tell
        exact = any(plan.exact for plan in plans)
        # Nothing is seen of a step that is compiled itself.
        eager = (taps and exact) or module._compiler_ctx is not None
        with ExitStack() as stack:
            together = self._with_gradient(plans) if taps else None
            if taps and eager:
                stack.enter_context(twice_differentiable(module, compiled=together is not None))
            options = replay.options(
                dict.fromkeys(layer for plan in plans for layer in plan.layers),
                tap_input=taps or searching,
                searching=searching,
                inputs=self.injection.explained(batch),
                in_training=True,
                late_terms=any(plan.late_terms for plan in plans),
                stays_compiled=not eager,
                with_gradient=together,
            )
            observer = stack.enter_context(StepObserver(module, options, replay.found).watching())
            until_penalised = stack.enter_context(ExitStack())
            until_penalised.enter_context(kept_whole(module))
            sample = observer.enter(replay, (batch.sample, batch.prepare), {})[0][0]

            def penalise(loss: Tensor) -> Tensor:
                self.injection.read(observer, loss, batch, required=True)
                observer.recording.close()
                for plan in plans:
                    loss = plan.penalise(loss, observer.recording)
                until_penalised.close()
                if taps and eager:  # activation checkpointing runs modules again
                    in_backward(loss, partial(observer.recording.as_in_forward, compiled=together is not None))
                return loss

            if module.automatic_optimization:
                return _with_loss(run(sample), penalise)
            return self._with_manual_backward(lambda: run(sample), penalise, observer)

    def _with_gradient(self, plans: list[Plan]) -> tuple[nn.Module, WithGradient] | None:
        """The module that makes the observed call, and what makes it together with its gradient."""
        called = self.injection.called
        if called is None or self.owner._compiler_ctx is not None:
            return None
        gradients = [plan.with_gradient(alone=len(plans) == 1) for plan in plans]
        return None if gradients[0] is None else (self.owner.get_submodule(called), gradients[0])

    def _with_manual_backward(
        self, run: Callable[[], Any], penalise: Callable[[Tensor], Tensor], observer: StepObserver
    ) -> Any:
        """Add the penalty to the first ``manual_backward`` whose loss depends on the batch; the returned loss is left alone."""
        module, backward = self.owner, self.owner.manual_backward
        pending = True

        def penalised_backward(loss: Tensor, *args: Any, **kwargs: Any) -> None:
            nonlocal pending
            if pending and observer.concerns(loss):
                pending, loss = False, penalise(loss)
            backward(loss, *args, **kwargs)

        module.manual_backward = penalised_backward
        try:
            output = run()
        finally:
            vars(module).pop("manual_backward")
        if pending:
            raise RuntimeError(
                "The step did not call self.manual_backward(loss) with a loss that depends on the batch's input, so there was "
                "no loss to add the penalty to. Use self.manual_backward(loss) instead of loss.backward()."
            )
        return output


def _with_loss(output: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A step's output with its loss changed: a tensor, a mapping with "loss", or None (the step was skipped)."""
    if output is None:
        return None
    if isinstance(output, Mapping):
        return {**output, "loss": change(output["loss"])}
    return change(output)
