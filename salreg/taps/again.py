"""Repeats a recorded call: on other inputs, on some of its samples, or with an activation moved."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from salreg.random_state import RandomState
from salreg.taps.layers import Layer, traceless
from salreg.taps.nested import map_leaves, replace_tensors, rows_of, tensors_in
from salreg.taps.observer import Observer
from salreg.taps.options import Options
from salreg.taps.recording import Recording
from salreg.taps.step_observer import StepObserver


def repeated(recording: Recording, inputs: Tensor) -> Recording:
    """See ``Recording.repeat``."""
    size = len(recording.floating_input())
    copies = len(inputs) // size
    return _again(recording, lambda arguments: _repeated(arguments, copies, size), inputs, tap=torch.is_grad_enabled())


def of_rows(recording: Recording, chosen: Tensor | None, late_terms: bool) -> Recording:
    """See ``Recording.rows``."""
    recording.require_logits()
    if chosen is None:
        again = _again(recording, lambda arguments: arguments, rng=recording.rng, tap=True)
    else:
        size = _size(recording)
        again = _again(recording, lambda arguments: rows_of(arguments, chosen, size), tap=True, late_terms=late_terms)
    wanted = again.options.inputs
    return again.of(wanted[0]) if wanted else again


def shifted(
    recording: Recording, layer: Layer | None, shift: Tensor, rows: Tensor | None, stand_ins: Mapping[int, Tensor]
) -> Tensor:
    """See ``Recording.shifted``.

    Raises:
        RuntimeError: No module returns the logits; only the graph behind the loss contains them.
    """
    size = _size(recording)
    if recording.found is not None and not recording.found.modules:
        raise RuntimeError(
            "Finite differences need logits that a module returns, but here only the loss contains them. Let a module return "
            "them (self.logits = nn.Identity() in __init__, and self.logits(...) in the step), or take "
            "differentiation='exact', which names any operation without a second derivative."
        )

    def change(arguments: Any) -> Any:
        standing = replace_tensors(arguments, stand_ins)
        return standing if rows is None else rows_of(standing, rows, size)

    return _again(recording, change, shift={layer: shift}, rng=recording.rng, tap=False).require_logits()


def _again(
    recording: Recording,
    change: Callable[[Any], Any],
    inputs: Tensor | None = None,
    *,
    tap: bool,
    shift: Mapping[Layer | None, Tensor] | None = None,
    rng: RandomState | None = None,
    late_terms: bool = False,
) -> Recording:
    """The recorded call with its arguments changed, and the explained input replaced if ``inputs`` is given."""
    recording.require_logits()
    assert recording.call is not None
    of_tokens = recording.tokens is not None
    before = ((recording.args, recording.kwargs), list(recording.options.inputs))
    after = change(before)
    if inputs is not None and not of_tokens:
        changed = zip(tensors_in(before), tensors_in(after), strict=True)
        after = replace_tensors(after, {id(new): inputs for old, new in changed if old is recording.given})
    (args, kwargs), explained = after
    options = replace(
        recording.options,
        tap_input=tap,
        searching=False,
        replaced=inputs if of_tokens else None,
        inputs=explained,
        shift=shift or {},
        late_terms=late_terms,
        in_training=None,
        stays_compiled=recording.options.stays_compiled and (late_terms or shift is not None),
        with_gradient=None,
    )
    with (
        traceless(recording.model),
        nullcontext() if recording.own_precision is None else recording.own_precision.again(),
        _observer(recording, options).watching() as observer,
    ):
        if rng is not None:
            rng.restore()
        observer.run(recording.call, args, kwargs)
    observer.recording.found = recording.found
    return observer.recording


def _observer(recording: Recording, options: Options) -> Observer:
    if isinstance(recording.call, nn.Module):
        named = None if recording.found else options.forward_module
        return Observer(recording.model, replace(options, forward_module=named, at_entry=False))
    return StepObserver(recording.model, options, recording.found)


def _size(recording: Recording) -> int:
    return len(recording.require_logits() if recording.given is None else recording.given)


def _repeated(arguments: Any, copies: int, size: int) -> Any:
    def repeat(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return leaf.repeat(copies, *[1] * (leaf.ndim - 1)) if leaf.ndim and len(leaf) == size else leaf
        return leaf * copies if isinstance(leaf, list | tuple) and len(leaf) == size else leaf

    return map_leaves(repeat, arguments)
