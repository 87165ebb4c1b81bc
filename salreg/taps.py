"""Where saliency is read: one forward pass, observed at its input, at chosen layers and at its logits.

``record`` registers hooks, lets the caller run the forward pass, and always removes them. The input of the observed call
becomes a leaf that requires grad inside that call only, so that the caller's own tensor stays as it is. Token numbers carry
no gradient: in their place the output of their embedding is the tap (``salreg.token_tap``).
"""

import copy
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from salreg.attention_weights import AttentionWeights
from salreg.differentiation.exact import is_compiled_itself
from salreg.differentiation.late_terms import LateTerms
from salreg.names import nearest
from salreg.precision import Precision
from salreg.random_state import RandomState, cuda_devices
from salreg.token_tap import TokenTap, token_numbers

Layer = str | nn.Module
#: From a module, its arguments and the tap among these to the output and, where it can be had, the gradient at the tap.
WithSlope = Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Tensor], tuple[Any, Tensor | None]]

#: In place of a layer's name: the last convolution that the model holds.
LAST_CONV = "last_conv"
#: In place of a layer's name: the attention weights of all layers, see ``Recording.attention``.
ATTENTION = "attention_weights"

_REMEDY = (
    "Name the module whose output is the logits with forward_module='...' (a name from named_modules(), or '' for the "
    "LightningModule itself)."
)


class Recording:
    """What ``record`` saw of one forward pass.

    Attributes:
        logits: The output of the observed call ``(B, C)``; None until it returned.
        module: The module that received the input; None until it was called.
        args: Its positional arguments, as the caller gave them.
        kwargs: Its keyword arguments, likewise.
        late: Room for terms of the loss that run the call again; None unless asked for.
        slope: The gradient at the input, where it was taken together with the call.
        problem: Why an observation without taps failed, where it did; with taps the same is raised.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[Layer] = (),
        *,
        batch: Any = None,
        forward_module: nn.Module | None = None,
        embedding: nn.Module | None = None,
        tap_input: bool = True,
        replaced: Tensor | None = None,
        inputs: Sequence[Tensor] = (),
        shift: Mapping[Layer | None, Tensor] | None = None,
        late_terms: bool = False,
        in_training: bool | None = None,
        stays_compiled: bool = False,
        with_slope: tuple[nn.Module, WithSlope] | None = None,
    ) -> None:
        self.logits: Tensor | None = None
        self.module: nn.Module | None = None
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}
        self.problem: str | None = None
        self._model = model
        self._attention = AttentionWeights(model) if ATTENTION in layers else None
        self._layers = {layer: find_layer(model, layer) for layer in layers if layer != ATTENTION}
        self._batch = {id(tensor): tensor for tensor in tensors_in(batch)}
        self._forward_module = forward_module
        self._embedding = embedding
        self._tap_input = tap_input
        self._in_training = tap_input if in_training is None else in_training
        self._replaced = replaced
        self._wanted = list(inputs)
        self._shift = shift or {}
        self._late_terms = late_terms
        self._stays_compiled = stays_compiled
        self._graph_of: nn.Module | None = None
        self._with_slope: WithSlope | None = None
        if with_slope is not None:
            self._graph_of, self._with_slope = with_slope
        self.slope: Tensor | None = None
        self.late: LateTerms | None = None
        self._draws: RandomState | None = None
        self._drew = False
        self._precision: Precision | None = None
        self._taps_of: dict[int, tuple[Tensor, Tensor | None, TokenTap | None]] = {}
        self._tokens: TokenTap | None = None
        self._embedded: set[int] = set()
        self._input: Tensor | None = None
        self._given: Tensor | None = None
        self._activations: dict[Layer, Tensor] = {}
        self._depth = 0
        self._depth_of_input = 0
        self._closed = False

    def close(self) -> None:
        """Stop observing. Activation checkpointing calls modules again while gradients are computed."""
        self._closed = True

    def activation(self, layer: Layer | None) -> Tensor:
        """The activation at a tap: a layer's output, or the input where ``layer`` is None.

        Raises:
            RuntimeError: The tap was not reached by the forward pass, with the reason.
        """
        self.require_logits()
        if layer is not None:
            if layer not in self._activations:
                raise RuntimeError(f"The forward pass that gave the logits did not run the layer {layer!r}.")
            return self._activations[layer]
        if self._input is None:
            raise self._no_input()
        return self._input

    def of(self, given: Tensor) -> "Recording":
        """The same pass with one of its inputs as the one that ``activation(None)``, ``repeat`` and the like are about.

        Args:
            given: One of ``inputs``, as the caller has it.

        Raises:
            RuntimeError: The observed call did not receive it, or it carries no gradient.
        """
        self.require_logits()
        if id(given) not in self._taps_of:
            raise RuntimeError(
                f"{type(self.module).__name__} did not receive the input of shape {tuple(given.shape)} as it lies in the "
                "batch, or does not embed it, so that it has no saliency."
            )
        one = copy.copy(self)
        one._wanted = [given]
        one._given, one._input, one._tokens = self._taps_of[id(given)]
        return one

    def floating_input(self) -> Tensor:
        """The input of the observed call as it was given, whether it is a tap or not; detached. Embedded tokens for a text.

        Raises:
            RuntimeError: There is no floating point input.
        """
        self.require_logits()
        if self._given is None:
            raise self._no_input()
        return self._given.detach()

    def without_padding(self, annotation: Tensor) -> Tensor:
        """Annotations with ``NO_PLACE`` where the call's text is padded.

        Raises:
            ValueError: A mark on padding.
        """
        return annotation if self._tokens is None or annotation.ndim != 2 else self._tokens.without_padding(annotation)

    def attention(self) -> list[Tensor]:
        """The attention weights ``(B, heads, T, T)`` of every layer, in the order of the forward pass; needs the tap
        ``ATTENTION``.

        Raises:
            RuntimeError: The model gives none, with what to switch.
        """
        self.require_logits()
        assert self._attention is not None
        return self._attention.require()

    def require_logits(self) -> Tensor:
        """The logits, or a ``RuntimeError`` that says why there are none."""
        if self.logits is None:
            raise RuntimeError(
                f"{self._name_of(self._forward_module)!r} was not called with gradients enabled during the step."
                if self._forward_module is not None
                else "No call of a module with trainable parameters received a tensor of the batch, so the forward pass "
                f"could not be found (model.forward(x) and x = x * 2 before the call hide it). {_REMEDY}"
            )
        return self.logits

    def repeat(self, inputs: Tensor) -> "Recording":
        """Make the observed call again on other inputs, and leave no trace of it.

        Args:
            inputs: ``(k * B, ...)`` for a recorded input ``(B, ...)``: k versions of the batch, one after the other. The call's
                other tensors with one entry per sample are repeated k times.

        Raises:
            RuntimeError: The recorded input is no tap, or the logits came from another call.
        """
        copies = len(inputs) // len(self.floating_input())
        return self._again(lambda tensor: tensor.repeat(copies, *[1] * (tensor.ndim - 1)), inputs, tap=torch.is_grad_enabled())

    @property
    def model(self) -> nn.Module:
        """The module that owns the pass."""
        return self._model

    @property
    def is_one_call(self) -> bool:
        """Whether a module of the model received a floating point input and returned the logits."""
        own = any(module is self.module for module in self._model.modules())
        return own and self._input is not None and self._tokens is None and self._forward_module in (None, self.module)

    @property
    def is_tapped(self) -> bool:
        """Whether the input is a tap."""
        return self._tap_input

    def parameters(self) -> list[Tensor]:
        """All parameters that are trained."""
        return _parameters(self._model)

    def rows(self, chosen: Tensor | None = None, *, late_terms: bool = False) -> "Recording":
        """Make the observed call again on some of its samples, given by their indices, and leave no trace of it; without
        indices on all of them, with the same random numbers if these were kept. ``late_terms`` as in ``record``."""
        if self.problem is not None:
            raise RuntimeError(self.problem)
        if chosen is None:
            again = self._again(lambda tensor: tensor, draws=self._draws, tap=True)
        else:
            again = self._again(lambda tensor: tensor[chosen], tap=True, late_terms=late_terms)
        return again.of(again._wanted[0]) if self._wanted else again

    def shifted(
        self, layer: Layer | None, shift: Tensor, rows: Tensor | None = None, stand_ins: Mapping[int, Tensor] | None = None
    ) -> Tensor:
        """The logits of the same call with the same random numbers, the activation at a tap being moved.

        Args:
            layer: The tap; None is the input.
            shift: What is added to the activation, one row per sample.
            rows: The samples' indices; all by default. Only a call that draws no random numbers is the same for some of them.
            stand_ins: Take these in place of the call's tensors with those ids.
        """
        change = (lambda tensor: tensor) if rows is None else (lambda tensor: tensor[rows])
        again = self._again(change, shift={layer: shift}, stand_ins=stand_ins or {}, draws=self._draws, tap=False)
        return again.require_logits()

    @property
    def precision(self) -> torch.dtype:
        """The number format of the pass: autocast's, or that of its floating point input."""
        assert self._precision is not None
        kept = self._precision.dtype
        return kept if kept.is_floating_point else self.floating_input().dtype

    @property
    def is_random(self) -> bool:
        """Whether the call drew random numbers."""
        return self._drew

    def _again(
        self,
        change: Callable[[Tensor], Tensor],
        inputs: Tensor | None = None,
        *,
        tap: bool,
        shift: Mapping[Layer | None, Tensor] | None = None,
        stand_ins: Mapping[int, Tensor] | None = None,
        draws: RandomState | None = None,
        late_terms: bool = False,
    ) -> "Recording":
        """The observed call with every tensor that has one entry per sample changed, and the explained input given anew."""
        size = len(self.require_logits() if self._given is None else self._given)
        assert self.module is not None
        arguments, wanted = (self.args, self.kwargs), self._wanted
        for tensor in tensors_in(arguments):
            new = (stand_ins or {}).get(id(tensor), tensor)
            if inputs is not None and self._tokens is None and tensor is self._given:
                new = inputs
            elif tensor.ndim and len(tensor) == size:
                new = change(new)
            if new is not tensor:
                arguments, wanted = (replace_tensor(one, tensor, new) for one in (arguments, wanted))
        args, kwargs = arguments
        logits_from = self.module if self._forward_module is None else self._forward_module
        with (
            traceless(self._model),
            nullcontext() if self._precision is None else self._precision.again(),
            record(
                self._model,
                self._taps(),
                batch=None if logits_from is self.module else tensors_in(arguments),
                forward_module=logits_from,
                embedding=self._embedding,
                tap_input=tap,
                replaced=None if self._tokens is None else inputs,
                inputs=wanted,
                shift=shift,
                late_terms=late_terms,
                stays_compiled=self._stays_compiled and (late_terms or shift is not None),
            ) as again,
        ):
            if draws is not None:
                draws.restore()
            self.module(*args, **kwargs)
        return again

    def _no_input(self) -> RuntimeError:
        given = [t for t in tensors_in((self.args, self.kwargs)) if t.ndim]
        return RuntimeError(
            f"{type(self.module).__name__} received {', '.join(str(t.dtype) for t in given) or 'no tensor'}: only "
            "floating point inputs carry a gradient, and no nn.Embedding received these numbers as they are. Name the module "
            "that embeds them with embedding='...', read the saliency at a layer, for example GradCAM(layer='...'), or convert "
            "the input to float in the dataset."
        )

    def _taps(self) -> list[Layer]:
        return [*self._layers, *([] if self._attention is None else [ATTENTION])]

    def tensor_given(self) -> Tensor | None:
        """The first tensor that the observed call received: images, or token numbers."""
        return next((tensor for tensor in tensors_in((self.args, self.kwargs)) if tensor.ndim), None)

    def input_index(self) -> int | None:
        """Position of the explained input among the batch's tensors, where it is one of them."""
        given = tensors_in((self.args, self.kwargs))
        explained = [t for t in given if t.is_floating_point()] if self._tokens is None else token_numbers(given, self.kwargs)
        return next((list(self._batch).index(id(t)) for t in explained if id(t) in self._batch), None)

    @contextmanager
    def _hooked(self) -> Iterator["Recording"]:
        every = _everywhere(self._model)
        closed = [module for module in every if self._is_closed(module)]
        hidden = {inner for module in closed for inner in module.modules() if inner is not module}
        seen = [module for module in every if module not in hidden]
        with ExitStack() as hooks:
            for module in self._observed_modules(seen):
                if module is self._graph_of or (module in closed and module._compiled_call_impl is not None):
                    hooks.enter_context(self._around(module))
                    continue
                for handle in (
                    module.register_forward_pre_hook(self._on_call, with_kwargs=True),
                    module.register_forward_hook(self._on_return),
                ):
                    hooks.callback(handle.remove)
            for module in self._embeddings(seen):
                hooks.callback(module.register_forward_hook(self._on_embedding).remove)
            for layer, module in self._layers.items():
                handle = module.register_forward_hook(lambda _m, _a, out, layer=layer: self._on_layer(layer, out))
                hooks.callback(handle.remove)
            if self._attention is not None:
                hooks.enter_context(self._attention.recorded(lambda: self.logits is None and not self._ignored()))
            yield self

    def _observed_modules(self, seen: list[nn.Module]) -> list[nn.Module]:
        if self._forward_module is not None and not self._batch:
            return [self._forward_module]
        trainable = [module for module in seen if any(p.requires_grad for p in module.parameters())]
        if self._forward_module is not None and self._forward_module not in trainable:
            trainable.append(self._forward_module)
        return trainable

    def _is_closed(self, module: nn.Module) -> bool:
        """Whether hooks inside the module would not be called: it is compiled, or becomes one graph with its gradient."""
        return module is self._graph_of or (self._stays_compiled and is_compiled_itself(module))

    @contextmanager
    def _around(self, module: nn.Module) -> Iterator[None]:
        """What hooks do, around a module that does not call any, or that is called in another way."""
        own = module._compiled_call_impl

        def call(*args: Any, **kwargs: Any) -> Any:
            args, kwargs = self._on_call(module, args, kwargs) or (args, kwargs)
            tap = self._input if module is self._graph_of and self.logits is None and not self._ignored() else None
            if tap is not None and self._with_slope is not None:
                output, self.slope = self._with_slope(module, args, kwargs, tap)
            else:
                run: Callable[..., Any] = own or module._call_impl
                output = run(*args, **kwargs)
            self._on_return(module, args, output)
            return output

        vars(module)["_compiled_call_impl"] = call  # past what torch.compile returned, which hands attributes on
        try:
            yield
        finally:
            vars(module)["_compiled_call_impl"] = own

    def _embeddings(self, seen: list[nn.Module]) -> list[nn.Module]:
        if self._embedding is not None:
            return [self._embedding] if self._embedding in seen else []
        return [module for module in seen if isinstance(module, nn.Embedding)]

    def _on_call(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._depth += 1
        if self._ignored():
            return None
        if self.logits is not None and self._forward_module is None and self._depth == 1:
            self._fail(
                RuntimeError(
                    f"Two candidates for the logits: after {self._name_of(self.module)!r} received the batch's input and "
                    f"returned, {self._name_of(module)!r}, which has trainable parameters too, was called. {_REMEDY}"
                )
            )
        if self.module is not None or (isinstance(module, nn.Embedding) and module is not self._forward_module):
            return None
        every = tensors_in((args, kwargs))
        given = [tensor for tensor in every if id(tensor) in self._batch]
        if not given and module is not self._forward_module:
            return None
        self.module, self.args, self.kwargs, self._depth_of_input = module, args, kwargs, self._depth
        self._precision = next((Precision(tensor) for tensor in every if tensor.ndim), None)
        if self._late_terms:
            self._draws = RandomState(self._model)
            grown = [tensor for tensor in every if tensor.requires_grad and not tensor.is_leaf]
            self.late = LateTerms([*_parameters(self._model), *grown])
        wanted = [tensor for tensor in every if any(tensor is one for one in self._wanted)]
        candidates = [t for t in wanted or given or every if t.is_floating_point()]
        numbers = token_numbers(wanted or given or every, {} if wanted else kwargs)
        if numbers and (wanted or not candidates or "input_ids" in kwargs):
            self._tokens = TokenTap(numbers, kwargs)
            candidates = candidates if wanted else []
        arguments: Any = None
        for candidate in candidates if wanted else candidates[:1]:
            tapped = self._tapped(candidate, kwargs)
            if tapped is not candidate:
                arguments = replace_tensor(arguments or (args, kwargs), candidate, tapped)
        return arguments

    def _tapped(self, given: Tensor, kwargs: dict[str, Any]) -> Tensor:
        """What the observed call gets in place of its floating point input."""
        if given is kwargs.get("inputs_embeds") or id(given) in self._embedded:
            self._tokens = TokenTap([], kwargs)
            self._tokens.taken_as_embedded()
            return self._tapped_tokens(given)
        self._given = given
        if None in self._shift:
            return given + self._shift[None]
        if not self._tap_input:
            return given
        self._input = given if given.requires_grad else _leaf(given)
        self._taps_of[id(given)] = (given, self._input, None)
        # A clone, so that an in-place operation of the model finds no leaf and spoils no tap.
        return self._input if self._graph_of is not None else self._input.clone()

    def _tapped_tokens(self, embedded: Tensor) -> Tensor:
        """What the model gets in place of embedded tokens."""
        assert self._tokens is not None
        tokens = self._tokens.channels_first(embedded) if self._replaced is None else self._replaced
        if None in self._shift:
            tokens = tokens + self._shift[None]
            self._replaced = tokens
        self._given = tokens
        if not self._tap_input:
            return embedded if self._replaced is None else self._tokens.as_the_model_has_it(tokens)
        self._input = tokens if tokens.requires_grad else _leaf(tokens)
        if self._tokens.ids is not None:
            self._taps_of[id(self._tokens.ids)] = (tokens, self._input, self._tokens)
        return self._tokens.as_the_model_has_it(self._input).clone()

    def _on_embedding(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if self._ignored() or self.logits is not None:
            return None
        given = next(iter(args), None)
        if self.module is None:
            if isinstance(given, Tensor) and id(given) in self._batch and isinstance(output, Tensor) and output.ndim == 3:
                self._batch[id(output)] = output  # the module that receives it makes the observed call
                self._embedded.add(id(output))
            return None
        if self._tokens is None or not self._tokens.found(module, given, output, named=module is self._embedding):
            return None
        return self._tapped_tokens(output)

    def _on_return(self, module: nn.Module, args: Any, output: Any) -> None:
        depth, self._depth = self._depth, self._depth - 1
        if self.module is None or self.logits is not None or self._ignored():
            return
        wanted = self.module if self._forward_module is None else self._forward_module
        if module is wanted and (self._forward_module is not None or depth == self._depth_of_input):
            if self._draws is not None:
                self._drew = self._draws.has_moved()
            if self._attention is not None:
                self._attention.take_from(output)
            try:
                self.logits = find_logits(output)
            except ValueError as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._tap_input:
            raise error
        self.problem = str(error)

    def _on_layer(self, layer: Layer, output: Any) -> Any:
        if self.logits is not None or self._closed or not torch.is_grad_enabled():
            return None
        if not isinstance(output, Tensor) or not output.is_floating_point():
            raise ValueError(f"The layer {layer!r} returns {type(output).__name__}, not a tensor of activations.")
        if layer in self._shift:
            return output + self._shift[layer]
        self._activations[layer] = output if output.requires_grad else _leaf(output)
        # A clone, because an in-place ReLU behind the layer would otherwise overwrite the activation.
        return self._activations[layer].clone()

    def _ignored(self) -> bool:
        # Without gradients it is a teacher's or a momentum encoder's pass.
        return self._closed or (self._in_training and not torch.is_grad_enabled())

    def _name_of(self, module: nn.Module | None) -> str:
        names = {id(m): name for name, m in self._model.named_modules()}
        return names.get(id(module)) or type(module).__name__


@contextmanager
def record(
    model: nn.Module,
    layers: Sequence[Layer] = (),
    *,
    batch: Any = None,
    forward_module: nn.Module | None = None,
    embedding: nn.Module | None = None,
    tap_input: bool = True,
    replaced: Tensor | None = None,
    inputs: Sequence[Tensor] = (),
    shift: Mapping[Layer | None, Tensor] | None = None,
    late_terms: bool = False,
    in_training: bool | None = None,
    stays_compiled: bool = False,
    with_slope: tuple[nn.Module, WithSlope] | None = None,
) -> Iterator[Recording]:
    """Observe the forward pass that runs inside the ``with`` block.

    Args:
        model: The module that owns the pass.
        layers: Layers of ``model``, by name or as modules, whose outputs are taps.
        batch: The batch being processed; the observed call is the outermost one that receives one of its tensors.
        forward_module: The module whose output is the logits, where the identity of the batch's tensors cannot tell.
        embedding: The module that embeds token numbers, where it is not the ``nn.Embedding`` that receives them as they are.
        tap_input: Whether the input becomes a tap. False observes without touching anything.
        replaced: Embedded tokens ``(B, E, T)`` to stand for those of the call.
        inputs: Which of the call's tensors are explained (``Recording.of`` chooses among them). By default it is the first
            floating point one, or token numbers.
        shift: What is added to the activations at taps.
        late_terms: Whether to make room for terms of the loss that run the call again (``Recording.late``).
        stays_compiled: Whether compiled modules are only observed from outside, as hooks inside are not called. By default they
            have to run uncompiled.
        with_slope: The module that makes the observed call, and what makes this call and takes the gradient at its input in one
            go (``Recording.slope``); modules inside are not seen.
        in_training: Whether calls without gradients are another network's, and passed over; by default where there are taps.

    Raises:
        RuntimeError: Another module with trainable parameters runs after the observed call returned.
        ValueError: A layer does not exist or returns no tensor, or no logits are found in the output.
    """
    recording = Recording(
        model,
        layers,
        batch=batch,
        forward_module=forward_module,
        embedding=embedding,
        tap_input=tap_input,
        replaced=replaced,
        inputs=inputs,
        shift=shift,
        late_terms=late_terms,
        in_training=in_training,
        stays_compiled=stays_compiled,
        with_slope=with_slope,
    )
    with recording._hooked():
        yield recording


@contextmanager
def traceless(model: nn.Module) -> Iterator[None]:
    """Extra forward passes inside leave buffers (BatchNorm's statistics) and the random state as they were.

    The buffers are exchanged for copies, not overwritten afterwards: a graph of the training may have saved them.
    """
    owned = [(module, name, buffer) for module in _everywhere(model) for name, buffer in module._buffers.items()]
    for module, name, buffer in owned:
        module._buffers[name] = None if buffer is None else buffer.clone()
    try:
        with torch.random.fork_rng(devices=cuda_devices(model)):
            yield
    finally:
        for module, name, buffer in owned:
            module._buffers[name] = buffer


def find_layer(model: nn.Module, layer: Layer) -> nn.Module:
    """The layer of that name; a ``ValueError`` suggests the nearest names."""
    if isinstance(layer, nn.Module):
        return layer
    modules = dict(model.named_modules())
    if layer == LAST_CONV and layer not in modules:
        return _last_conv(model)
    if layer not in modules:
        raise ValueError(f"{type(model).__name__} has no layer {layer!r}{nearest(layer, modules)}.")
    return modules[layer]


def check_layers(model: nn.Module, layers: Sequence[Layer]) -> None:
    """Raise a ``ValueError`` that names the first of these taps that the model does not have."""
    for layer in layers:
        if layer != ATTENTION:
            find_layer(model, layer)


def _last_conv(model: nn.Module) -> nn.Module:
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    if not convolutions:
        raise ValueError(f"{type(model).__name__} has no convolution to read saliency at; name a layer with layer='...'.")
    return convolutions[-1]


def find_logits(output: Any) -> Tensor:
    """The logits in a module's output: the tensor itself, ``.logits``, ``["logits"]``, or a tuple's only float tensor."""
    if isinstance(output, Mapping):
        output = output.get("logits", output)
    output = getattr(output, "logits", output)
    tensors = [tensor for tensor in tensors_in(output) if tensor.is_floating_point()]
    if len(tensors) != 1:
        raise ValueError(
            f"{len(tensors)} candidates for the logits in the output ({type(output).__name__}); return them as a tensor, "
            "as an attribute or a dict entry called 'logits', or name the module that gives them with forward_module='...'."
        )
    return tensors[0]


def tensors_in(collection: Any) -> list[Tensor]:
    """All tensors in nested sequences, mappings and dataclasses, in a fixed order."""
    if isinstance(collection, Tensor):
        return [collection]
    if isinstance(collection, Mapping):
        return [tensor for value in collection.values() for tensor in tensors_in(value)]
    if isinstance(collection, Sequence) and not isinstance(collection, str | bytes):
        return [tensor for value in collection for tensor in tensors_in(value)]
    if is_dataclass(collection) and not isinstance(collection, type):
        return [tensor for field in fields(collection) for tensor in tensors_in(getattr(collection, field.name))]
    return []


def replace_tensor(collection: Any, old: Tensor, new: Any) -> Any:
    """A copy of nested tuples, lists, mappings and dataclasses in which ``new`` stands for ``old``."""
    if collection is old:
        return new
    if isinstance(collection, dict):
        return {key: replace_tensor(value, old, new) for key, value in collection.items()}
    if type(collection) in (tuple, list):
        return type(collection)(replace_tensor(value, old, new) for value in collection)
    if isinstance(collection, tuple) and hasattr(collection, "_make"):  # a named one
        return collection._make(replace_tensor(value, old, new) for value in collection)
    if is_dataclass(collection) and not isinstance(collection, type):
        changed = copy.copy(collection)
        for field in fields(collection):
            object.__setattr__(changed, field.name, replace_tensor(getattr(collection, field.name), old, new))
        return changed
    if isinstance(collection, UserDict):  # Hugging Face's batches
        mapping = copy.copy(collection)
        for key, value in collection.items():
            mapping[key] = replace_tensor(value, old, new)
        return mapping
    return collection


def _leaf(tensor: Tensor) -> Tensor:
    # A copy: the caller may change its tensor after the forward pass.
    return tensor.detach().clone().requires_grad_()


def _parameters(model: nn.Module) -> list[Tensor]:
    """All parameters that are trained."""
    found = [parameter for module in _everywhere(model) for parameter in module.parameters(recurse=False)]
    return [one for one in {id(parameter): parameter for parameter in found}.values() if one.requires_grad]


def _everywhere(model: nn.Module) -> list[nn.Module]:
    """All modules of a model, also those of modules that it keeps in plain containers."""
    return list({id(m): m for root in (model, *_hidden_modules(model)) for m in root.modules()}.values())


def _hidden_modules(model: nn.Module) -> list[nn.Module]:
    """Modules that the model keeps in plain lists, tuples or dicts, where named_modules() does not find them."""
    containers = [value for value in vars(model).values() if type(value) in (list, tuple, dict)]
    values = [v for c in containers for v in (c.values() if isinstance(c, dict) else c)]
    return [value for value in values if isinstance(value, nn.Module)]
