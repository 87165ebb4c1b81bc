"""What was observed of one forward pass, and ways to run the same pass again."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from salreg.attention_weights import AttentionWeights
from salreg.differentiation.exact import twice_differentiable
from salreg.differentiation.late_terms import LateTerms
from salreg.precision import Precision
from salreg.random_state import RandomState
from salreg.taps.layers import Layer, trained_parameters
from salreg.taps.loss_graph import Link, target_of
from salreg.taps.nested import tensors_in
from salreg.taps.options import Options
from salreg.taps.search import Found
from salreg.token_tap import TokenTap


class Recording:
    """One forward pass as an ``Observer`` saw it: a module's, or that of a user's whole step.

    Attributes:
        model: The module that owns the pass.
        options: How it was observed.
        logits: The logits ``(B, C)``; None until they are known.
        call: The callable that received the input: a module, or a user's step; None until it is called.
        args: Its positional arguments, as the caller gave them.
        kwargs: Its keyword arguments, likewise.
        found: Where the logits come from in a user's step.
        late: The terms to add to the loss later, which run the call again; None unless ``options.late_terms``.
        gradient: The gradient at the input, if it was computed together with the call.
        problem: Why there are no logits, if that is known.
        outputs: What the network returned, if the logits are a rearranged view of it (``found.layout``).
    """

    def __init__(self, model: nn.Module, options: Options, attention: AttentionWeights | None) -> None:
        self.model = model
        self.options = options
        self.logits: Tensor | None = None
        self.call: Callable[..., Any] | None = None
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}
        self.found: Found | None = None
        self.late: LateTerms | None = None
        self.gradient: Tensor | None = None
        self.problem: str | None = None
        self.outputs: list[Tensor] = []
        self.closed = False
        self.input: Tensor | None = None
        self.given: Tensor | None = None
        self.tokens: TokenTap | None = None
        self.taps_of: dict[int, tuple[Tensor, Tensor | None, TokenTap | None]] = {}
        self.activations: dict[Layer, Tensor] = {}
        self.rng: RandomState | None = None
        self.is_random = False
        self.own_precision: Precision | None = None
        self._attention = attention

    def close(self) -> None:
        """Stop observing, because activation checkpointing calls modules again while gradients are computed."""
        self.closed = True

    @property
    def module(self) -> nn.Module | None:
        """The module that received the input and returned the logits; None if a step does more than call one module."""
        return self.call if isinstance(self.call, nn.Module) else None

    @property
    def link(self) -> Link | None:
        """How the training loss reads the logits, if that is known."""
        return None if self.found is None else self.found.link

    @property
    def is_tapped(self) -> bool:
        """Whether the input is a tap, and not only in order to find the logits."""
        return self.options.tap_input and not self.options.searching

    @property
    def is_one_call(self) -> bool:
        """Whether a module of the model received a floating point input and returned the logits."""
        own = any(module is self.call for module in self.model.modules())
        named = self.options.forward_module
        as_returned = self.found is None or self.found.layout is None
        return own and as_returned and self.input is not None and self.tokens is None and named in (None, self.call)

    @property
    def precision(self) -> torch.dtype:
        """The number format of the pass: autocast's, or that of its floating point input."""
        assert self.own_precision is not None
        kept = self.own_precision.dtype
        return kept if kept.is_floating_point else self.floating_input().dtype

    def target_in(self, loss: Tensor) -> Tensor | None:
        """The targets that a loss compares the logits with; None if its operators keep none, or several different ones."""
        layout = None if self.found is None else self.found.layout
        return target_of(loss, self.require_logits()) if layout is None else layout.target_in(loss, self.outputs)

    def require_logits(self) -> Tensor:
        """The logits, or a ``RuntimeError`` that says why there are none."""
        if self.logits is None:
            raise RuntimeError(self.problem or "The network was not called with gradients enabled during the step.")
        return self.logits

    def activation(self, layer: Layer | None) -> Tensor:
        """The activation at a tap: a layer's output, or the input if ``layer`` is None.

        Raises:
            RuntimeError: The forward pass did not reach the tap; the message says why.
        """
        self.require_logits()
        if layer is not None:
            if layer not in self.activations:
                raise RuntimeError(f"The forward pass that computed the logits did not run the layer {layer!r}.")
            return self.activations[layer]
        if self.input is None:
            raise self._no_input()
        return self.input

    def of(self, given: Tensor) -> "Recording":
        """The same pass, with one of its inputs as the one that ``activation(None)``, ``repeat`` and similar methods refer to.

        Args:
            given: One of the explained inputs (``options.inputs``), as the caller has it.

        Raises:
            RuntimeError: The observed call did not receive it, or it carries no gradient.
        """
        self.require_logits()
        if id(given) not in self.taps_of:
            raise RuntimeError(
                f"The step did not receive the input of shape {tuple(given.shape)} unchanged from the batch, or does not "
                "embed it, so it has no saliency."
            )
        one = copy.copy(self)
        one.options = replace(self.options, inputs=[given])
        one.given, one.input, one.tokens = self.taps_of[id(given)]
        return one

    def floating_input(self) -> Tensor:
        """The input as it was given, detached, whether it is a tap or not; for a text, its embedded tokens.

        Raises:
            RuntimeError: There is no floating point input.
        """
        self.require_logits()
        if self.given is None:
            raise self._no_input()
        return self.given.detach()

    def tensor_given(self) -> Tensor | None:
        """The first tensor that the observed call received: images, or token numbers."""
        return next((tensor for tensor in tensors_in((self.args, self.kwargs)) if tensor.ndim), None)

    def without_padding(self, annotation: Tensor) -> Tensor:
        """Annotations with ``NO_PLACE`` where the call's text is padded.

        Raises:
            ValueError: A mark on padding.
        """
        if self.tokens is None or annotation.ndim > 3 or (annotation.ndim == 3 and not self.tokens.has_choices):
            return annotation
        return self.tokens.without_padding(annotation)

    def attention(self) -> list[Tensor]:
        """The attention weights ``(B, heads, T, T)`` of every layer, in the order of the forward pass; this needs the tap
        ``ATTENTION``.

        Raises:
            RuntimeError: The model returns none; the message says which setting to change.
        """
        self.require_logits()
        assert self._attention is not None
        return self._attention.require()

    @contextmanager
    def as_in_forward(self, *, compiled: bool = False) -> Iterator[None]:
        """Restores the kernels and hooks of the pass for activation checkpointing, which runs its modules again."""
        with ExitStack() as stack:
            stack.enter_context(twice_differentiable(self.model, compiled=compiled))
            if self._attention is not None:
                stack.enter_context(self._attention.again())
            yield

    def parameters(self) -> list[Tensor]:
        """All parameters that are trained."""
        return trained_parameters(self.model)

    def repeat(self, inputs: Tensor) -> "Recording":
        """Make the observed call again on other inputs, without side effects.

        Args:
            inputs: ``(k * B, ...)`` for a recorded input ``(B, ...)``: k versions of the batch, one after the other. All other
                arguments with one entry per sample are repeated k times.

        Raises:
            RuntimeError: The recorded input is not a tap, or the logits came from another call.
        """
        from salreg.taps.again import repeated

        return repeated(self, inputs)

    def rows(self, chosen: Tensor | None = None, *, late_terms: bool = False) -> "Recording":
        """Make the observed call again on the samples with these indices, without side effects. Without indices it is made on
        all samples, with the same random numbers if their state was kept. ``late_terms`` is as in ``Options``."""
        from salreg.taps.again import of_rows

        return of_rows(self, chosen, late_terms)

    def shifted(
        self, layer: Layer | None, shift: Tensor, rows: Tensor | None = None, stand_ins: Mapping[int, Tensor] | None = None
    ) -> Tensor:
        """The logits of the same call with the same random numbers and with the activation at a tap moved.

        Args:
            layer: The tap; None for the input.
            shift: The tensor that is added to the activation, one row per sample.
            rows: The samples' indices; by default all. A part of the samples gives the same logits only without random draws.
            stand_ins: Replacements for the call's tensors, by their ids.
        """
        from salreg.taps.again import shifted

        return shifted(self, layer, shift, rows, stand_ins or {})

    def _no_input(self) -> RuntimeError:
        given = [t for t in tensors_in((self.args, self.kwargs)) if t.ndim]
        called = type(self.call).__name__ if isinstance(self.call, nn.Module) else "The step"
        return RuntimeError(
            f"{called} received {', '.join(str(t.dtype) for t in given) or 'no tensor'}: only floating point inputs carry a "
            "gradient, and no nn.Embedding received these numbers unchanged. Name the module that embeds them with "
            "embedding='...', read the saliency at a layer, for example GradCAM(layer='...'), or convert the input to float "
            "in the dataset."
        )
