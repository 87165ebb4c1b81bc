"""Observes one forward pass: registers hooks, lets the caller run the pass, and removes the hooks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from salreg.attention_weights import AttentionWeights
from salreg.differentiation.exact import is_compiled_itself
from salreg.differentiation.late_terms import LateTerms
from salreg.hook import Hook
from salreg.precision import Precision
from salreg.random_state import RandomState
from salreg.taps.calls import find_logits
from salreg.taps.input_tap import InputTap
from salreg.taps.layers import ATTENTION, Layer, all_modules, find_layer, trained_parameters
from salreg.taps.nested import tensors_in
from salreg.taps.options import Options
from salreg.taps.recording import Recording

Self = TypeVar("Self", bound="Observer")


class Observer:
    """Observes one call of a module whose output is the logits or contains them.

    Args:
        model: The module that owns the pass.
        options: How to observe.

    Attributes:
        recording: What was observed.
    """

    _sees_failed_calls = False

    def __init__(self, model: nn.Module, options: Options) -> None:
        self._attention = AttentionWeights(model) if ATTENTION in options.layers else None
        self.recording = Recording(model, options, self._attention)
        self._model = model
        self._options = options
        self._layers = {layer: find_layer(model, layer) for layer in options.layers if layer != ATTENTION}
        self._graph_of = options.with_gradient[0] if options.with_gradient else None
        self._tap = InputTap(self.recording)

    def run(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Make the observed call."""
        args, kwargs = self.enter(call, args, kwargs)
        self.leave(call(*args, **kwargs))

    def enter(
        self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Note the call before it is made; returns its arguments with taps among them."""
        recording = self.recording
        recording.call, recording.args, recording.kwargs = call, args, kwargs
        every = tensors_in((args, kwargs))
        recording.own_precision = next((Precision(tensor) for tensor in every if tensor.ndim), None)
        if self._options.late_terms:
            recording.rng = RandomState(self._model)
            grown = [tensor for tensor in every if tensor.requires_grad and not tensor.is_leaf]
            recording.late = LateTerms([*trained_parameters(self._model), *grown])
        return self._tap.put_into(args, kwargs)

    def leave(self, output: Any) -> None:
        """The call returned."""
        if self.recording.logits is None and self._options.forward_module in (None, self.recording.call):
            self._take(find_logits(output), output)

    def _take(self, logits: Tensor, output: Any) -> None:
        recording = self.recording
        if recording.rng is not None:
            recording.is_random = recording.rng.has_moved()
        if self._attention is not None:
            self._attention.take_from(output)
        recording.logits = logits

    # Hooks

    @contextmanager
    def watching(self: Self) -> Iterator[Self]:
        """Observe the calls inside the ``with`` block."""
        every = all_modules(self._model)
        closed = [module for module in every if self._is_closed(module)]
        hidden = {inner for module in closed for inner in module.modules() if inner is not module}
        seen = [module for module in every if module not in hidden]
        with ExitStack() as hooks:
            for module in self._hooked(seen):
                if module is self._graph_of or (module in closed and module._compiled_call_impl is not None):
                    hooks.enter_context(self._around(module))
                    continue
                hooks.callback(module.register_forward_pre_hook(Hook(self._before), with_kwargs=True).remove)
                hooks.callback(module.register_forward_hook(Hook(self._after), always_call=self._sees_failed_calls).remove)
            for module in self._embeddings(seen):
                hooks.callback(module.register_forward_hook(Hook(self._on_embedding)).remove)
            for layer, module in self._layers.items():
                on_layer = Hook(lambda _m, _a, out, layer=layer: self._on_layer(layer, out))
                hooks.callback(module.register_forward_hook(on_layer).remove)
            if self._attention is not None:
                hooks.enter_context(self._attention.recorded(lambda: not self._is_past()))
            yield self

    def _hooked(self, seen: Sequence[nn.Module]) -> list[nn.Module]:
        """The modules whose calls matter."""
        named = self._options.forward_module
        return [] if named is None else [named]

    def _before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.recording.call is None and not self._is_past():
            return self.enter(module, args, kwargs)
        return None

    def _after(self, module: nn.Module, args: Any, output: Any) -> None:
        if self.recording.call is not None and not self._is_past():
            self._take(find_logits(output), output)

    def _is_closed(self, module: nn.Module) -> bool:
        """Whether hooks inside the module would not be called: it is compiled, or compiled together with its gradient."""
        return module is self._graph_of or (self._options.stays_compiled and is_compiled_itself(module))

    @contextmanager
    def _around(self, module: nn.Module) -> Iterator[None]:
        """Does what the hooks do, for a module that does not call them or that is called in another way."""
        own = module._compiled_call_impl

        def call(*args: Any, **kwargs: Any) -> Any:
            args, kwargs = self._before(module, args, kwargs) or (args, kwargs)
            tap = self.recording.input if module is self._graph_of and not self._is_past() else None
            if tap is not None and self._options.with_gradient and any(tap is one for one in tensors_in((args, kwargs))):
                output, self.recording.gradient = self._options.with_gradient[1](module, args, kwargs, tap)
            else:
                run: Callable[..., Any] = own or module._call_impl
                output = run(*args, **kwargs)
            self._after(module, args, output)
            return output

        vars(module)["_compiled_call_impl"] = call  # not through torch.compile's wrapper, which forwards attributes
        try:
            yield
        finally:
            vars(module)["_compiled_call_impl"] = own

    def _embeddings(self, seen: Sequence[nn.Module]) -> list[nn.Module]:
        named = self._options.embedding
        if named is not None:
            return [named] if named in seen else []
        return [module for module in seen if isinstance(module, nn.Embedding)]

    def _on_embedding(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if self._is_past() or self.recording.call is None:
            return None
        return self._tap.take_embedded(module, next(iter(args), None), output)

    def _on_layer(self, layer: Layer, output: Any) -> Any:
        if self._is_past() or not torch.is_grad_enabled():
            return None
        if not isinstance(output, Tensor) or not output.is_floating_point():
            raise ValueError(f"The layer {layer!r} returns {type(output).__name__}, not a tensor of activations.")
        if layer in self._options.shift:
            return output + self._options.shift[layer]
        held = self.recording.activations
        held[layer] = output if output.requires_grad else output.detach().clone().requires_grad_()
        # A clone, because an in-place ReLU after the layer would otherwise overwrite the activation.
        return held[layer].clone()

    def _is_past(self) -> bool:
        """Whether the observation is over, or this pass has no gradients: it is a teacher's or a momentum encoder's."""
        recording = self.recording
        if recording.closed or recording.logits is not None:
            return True
        return self._options.skips_calls_without_gradients and not torch.is_grad_enabled()


@contextmanager
def record(model: nn.Module, options: Options) -> Iterator[Recording]:
    """Observe the first call of ``options.forward_module`` that is made inside the ``with`` block.

    Args:
        model: The module that owns the pass.
        options: How to observe.

    Raises:
        ValueError: A layer does not exist or returns no tensor, or no logits are found in the output.
    """
    with Observer(model, options).watching() as observer:
        yield observer.recording
