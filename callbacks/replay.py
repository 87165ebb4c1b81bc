"""A user's own step, run again on other samples as far as to its logits."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from salreg.callbacks.muted import muted
from salreg.callbacks.reading import Reading
from salreg.callbacks.replacements import Replacement
from salreg.callbacks.step_errors import refuses_taps, with_remedy
from salreg.taps import Found, Options, Recording, StepObserver, copied, find_layer, replace_tensor
from salreg.taps.layers import traceless
from salreg.taps.layout import Layout
from salreg.taps.loss_graph import Link


class Replay:
    """Runs one of a module's steps without a trace of it: nothing is logged, no optimizer moves, no state changes.

    Args:
        module: The LightningModule.
        name: The step: ``training_step``, ``validation_step``, ``test_step`` or ``predict_step``.

    Attributes:
        found: Where its logits come from, once that is known.
        forward_module: Name of the module whose output is the logits, where the user gave one.
        embedding: Name of the module that embeds token numbers, likewise.
        at_entry: Whether code ahead of the network fails on tensors that require grad.
        told_link: How the training loss reads the logits, where the user says so.
        link: The same, where it is known.
        layout: How it lays out those for many places, likewise.
        reading: What the loss that the step returns or logs says of the batch, once the step was searched.
    """

    def __init__(self, module: pl.LightningModule, name: str) -> None:
        self.module, self.name = module, name
        self.found: Found | None = None
        self.forward_module: str | None = None
        self.embedding: str | None = None
        self.told_link: Link | None = None
        self.at_entry = False
        self.link: Link | None = None
        self.layout: Layout | None = None
        self.reading: Reading | None = None
        self._is_harmless = False

    def __call__(self, sample: Any, prepare: Any = None) -> Any:
        """Run the step on a batch, and before it the hook that is part of it, if there is one."""
        step = getattr(self.module, self.name)
        step = step.method if isinstance(step, Replacement) else step
        with self._unchanged_parameters(), _own_methods(self.module), muted(self.module) as logged:
            sample = sample if prepare is None else prepare(sample)
            args, kwargs = arguments_of(step, sample)
            loss = loss_in(step(*args, **kwargs))
        # A validation step returns no loss as a rule, and logs it.
        return loss if loss is not None or not logged else torch.stack([one.sum() for one in logged]).sum()

    def options(self, layers: Any = (), **others: Any) -> Options:
        """How a pass of this step is observed."""
        named = None if self.forward_module is None else find_layer(self.module, self.forward_module)
        embedding = None if self.embedding is None else find_layer(self.module, self.embedding)
        return Options(
            tuple(layers), forward_module=named, link=self.told_link, embedding=embedding, at_entry=self.at_entry, **others
        )

    def run(
        self, sample: Any, explained: Tensor, layers: Any = (), replaced: Tensor | None = None, prepare: Any = None
    ) -> Recording:
        """Run the step on a batch under observation, with its taps open if gradients are enabled.

        Args:
            sample: The batch, laid out like those of the module's loaders.
            explained: Its tensor that is explained.
            layers: Layers whose outputs are taps.
            replaced: Stands for the explained input, or for the embedded tokens ``(B, E, T)`` of a text.
            prepare: The user's hook that batches go through before the step.

        Raises:
            RuntimeError: The logits cannot be told, or the step cannot be run again.
        """
        tapped = replaced is None and torch.is_grad_enabled()
        if self.found is None and not tapped:
            with torch.enable_grad():
                self.run(sample, explained, prepare=prepare)
        tapped = tapped or (self.found is not None and not self.found.modules)  # the graph of the loss alone knows the logits
        of_tokens = not explained.is_floating_point()
        if replaced is not None and not of_tokens:
            sample, explained = replace_tensor(sample, explained, replaced), replaced
        try:
            return self._observed(sample, explained, layers, tapped, replaced if of_tokens else None, prepare)
        except (RuntimeError, TypeError) as error:
            if self.at_entry or not tapped or not refuses_taps(error):
                raise with_remedy(error) from error
        self.at_entry = True
        return self._observed(sample, explained, layers, tapped, replaced if of_tokens else None, prepare)

    def _observed(
        self, sample: Any, explained: Tensor, layers: Any, tapped: bool, replaced: Tensor | None, prepare: Any
    ) -> Recording:
        sample, explained = copied((sample, explained))  # the step may change its batch in place
        options = self.options(layers, tap_input=tapped, inputs=[explained], in_training=False, replaced=replaced)
        observer = StepObserver(self.module, options, self.found)
        with traceless(self.module), torch.set_grad_enabled(tapped or torch.is_grad_enabled()), observer.watching():
            observer.run(self, (sample, prepare), {})
        found = observer.recording.found
        if found is not None and found.layout is None and self.layout is not None and len(found.modules) == 1:
            found = observer.recording.found = replace(found, layout=self.layout)
            observer.recording.logits = self.layout.of(observer.recording.outputs)
        if found is not None and self.reading is None and found.target is not None:
            self.reading = Reading.of(found, sample)
        self.learn(found)
        if observer.recording.found is not None and self.link is not None:
            observer.recording.found = replace(observer.recording.found, link=self.link)
        return observer.recording

    def learn(self, found: Found | None) -> None:
        """Remember where the logits come from."""
        if found is not None and self.found is None:
            self.found = replace(found, target=None)

    @contextmanager
    def _unchanged_parameters(self) -> Iterator[None]:
        """Make sure that the step changes no parameter before its logits are there; the first time, undo it."""
        parameters = list(self.module.parameters())
        versions = [one._version for one in parameters]
        kept = [] if self._is_harmless else [one.detach().clone() for one in parameters]
        try:
            yield
        finally:
            moved = [one for one, version in zip(parameters, versions, strict=True) if one._version != version]
            with torch.no_grad():
                for one, before in zip(parameters if moved else [], kept, strict=False):
                    one.copy_(before)
        if moved:
            raise RuntimeError(
                f"{type(self.module).__name__}.{self.name} changes {len(moved)} parameters before it computes the logits, so "
                "it cannot be run again on other samples. Change them in on_train_batch_start or on_train_batch_end."
            )
        self._is_harmless = True


@contextmanager
def _own_methods(module: pl.LightningModule) -> Iterator[None]:
    """Inside, a step that calls another one, validation_step the training_step, calls it as the user wrote it."""
    replacements = [one for one in vars(module).values() if isinstance(one, Replacement)]
    for one in replacements:
        one.put_back()
    try:
        yield
    finally:
        for one in replacements:
            one.put_in()


def arguments_of(step: Any, batch: Any, batch_idx: int = 0, dataloader_idx: int = 0) -> tuple[list[Any], dict[str, Any]]:
    """What a step is called with, as far as it takes it: the batch or a ``dataloader_iter``, and the indices."""
    known = inspect.signature(step).parameters
    given = iter([(batch, batch_idx, dataloader_idx)]) if "dataloader_iter" in known else batch
    by_name = {"batch_idx": batch_idx, "dataloader_idx": dataloader_idx}
    positional = [one for one in known.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    if any(one.kind is one.VAR_POSITIONAL for one in known.values()):
        return [given, batch_idx], {}
    # The second is the batch's index and the third the loader's, whatever they are called; others have defaults of their own.
    wanted = [one for one in positional[:3] if one.name in by_name or one.default is one.empty]
    places = [given, batch_idx, dataloader_idx][: len(wanted)]
    return places, {name: by_name[name] for name, one in known.items() if one.kind is one.KEYWORD_ONLY and name in by_name}


def loss_in(output: Any) -> Any:
    """The loss that a step returned."""
    return output.get("loss") if isinstance(output, Mapping) else output
