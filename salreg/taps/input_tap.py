"""Makes the input of a call a tap: the batch's own tensor, or the output of an embedding for its token numbers."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from salreg.complex_inputs import refuse_complex
from salreg.taps.nested import replace_tensors, tensors_in
from salreg.taps.recording import Recording
from salreg.token_tap import TokenTap, token_numbers


class InputTap:
    """Replaces the explained inputs by leaves that require grad, only inside the observed call.

    Args:
        recording: The recording that receives the taps.

    Attributes:
        size: The number of samples that the call received; 0 before it is made.
    """

    def __init__(self, recording: Recording) -> None:
        self.size = 0
        self._recording = recording
        self._options = recording.options
        self._replaced = recording.options.replaced
        self._numbers: list[Tensor] = []
        self._texts: list[TokenTap] = []
        self._embedded: dict[int, Tensor] = {}  # by id of the tokens: the tensor used wherever they are embedded
        self._put: dict[int, tuple[Tensor, Tensor, Tensor]] = {}  # by id: the call's tensor, its leaf, the caller's

    @property
    def leaves(self) -> list[Tensor]:
        """The taps at the input, so far."""
        held = [tap for _, tap, _ in self._recording.taps_of.values() if tap is not None]
        return held or [tap for tap in (self._recording.input,) if tap is not None]

    def put_into(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of the observed call with taps in place of its floating point inputs; token numbers are remembered."""
        every = [tensor for tensor in tensors_in((args, kwargs)) if tensor.ndim]
        named = _by_name(args, kwargs)
        wanted = [tensor for tensor in every if any(tensor is one for one in self._options.inputs)]
        candidates = [tensor for tensor in wanted or every if tensor.is_floating_point()]
        numbers = token_numbers(wanted or every, {} if wanted else named)
        if not candidates and not numbers and self._options.tap_input and not self._options.layers:
            refuse_complex(wanted or every)
        explained = [*wanted, *candidates, *numbers, *every]
        self.size = len(explained[0]) if explained else 0
        if numbers and (wanted or not candidates or "input_ids" in named):
            self._texts = [TokenTap([one], named) for one in numbers] if wanted else [TokenTap(numbers, named)]
            self._recording.tokens, self._numbers = self._texts[0], numbers
            candidates = candidates if wanted else []
        new = {id(given): self._tapped(given, named) for given in (candidates if wanted else candidates[:1])}
        changed: tuple[Any, Any] = replace_tensors((args, kwargs), new)
        return changed

    def take_embedded(self, module: nn.Module, given: Any, output: Any) -> Tensor | None:
        """The tensor that replaces the output of an embedding for the token numbers; None if these were not the tokens."""
        for tokens in self._texts:
            if tokens.found(module, given, output, named=module is self._options.embedding):
                return self._tapped_tokens(output, tokens)
            if tokens.found_again(module, given) and id(tokens.ids) in self._embedded:
                return tokens.as_the_model_has_it(self._embedded[id(tokens.ids)]).clone()
        return None

    def note_masks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Remember which tokens are padding if a module is told so by a keyword."""
        for tokens in self._texts:
            if len(self._texts) == 1 or tokens.concerns(tensors_in((args, kwargs))):
                tokens.note_masks(kwargs)

    def reconnected(self, arguments: tuple[Any, Any]) -> tuple[Any, Any]:
        """A module's arguments in which copies of the input that lost their graph on the way are replaced by the tap.

        Only copies with the same values are replaced: for any other, it is unknown where its pixels lie in the batch.
        """
        if not torch.is_grad_enabled() or not self._put:
            return arguments
        new = {}
        for tensor in tensors_in(arguments):
            if tensor.is_floating_point() and not tensor.requires_grad:
                same = next((one for one in self._put.values() if _same_values(tensor, one[2])), None)
                if same is not None:
                    new[id(tensor)] = put = same[1].clone().to(tensor.dtype)
                    self._put[id(put)] = (put, *same[1:])
        changed: tuple[Any, Any] = replace_tensors(arguments, new)
        return changed

    def as_given(self, arguments: tuple[Any, Any]) -> tuple[Any, Any] | None:
        """A module's arguments with the caller's tensors in place of taps; None if it received no input unchanged."""
        every = tensors_in(arguments)
        given = {id(tensor): self._put[id(tensor)][2] for tensor in every if id(tensor) in self._put}
        has_numbers = any(tensor is one for tensor in every for one in self._numbers)
        return replace_tensors(arguments, given) if given or has_numbers else None

    def _tapped(self, given: Tensor, named: Mapping[str, Any]) -> Tensor:
        recording = self._recording
        if given is named.get("inputs_embeds"):
            recording.tokens = TokenTap([], named)
            recording.tokens.taken_as_embedded(given)
            return self._tapped_tokens(given, recording.tokens)
        recording.given = given
        if None in self._options.shift:
            return given + self._options.shift[None]
        if not self._options.tap_input:
            recording.taps_of[id(given)] = (given, None, None)
            return given
        recording.input = leaf = given if given.requires_grad else _leaf(given)
        recording.taps_of[id(given)] = (given, leaf, None)
        # A clone, because an in-place operation of the model would fail on a leaf and overwrite the tap.
        put = leaf if self._options.with_gradient else leaf.clone()
        self._put[id(put)] = (put, leaf, given)
        return given if self._options.at_entry else put

    def _tapped_tokens(self, embedded: Tensor, text: TokenTap) -> Tensor:
        """The tensor that the model gets in place of embedded tokens."""
        recording, shift = self._recording, self._options.shift
        tokens = text.channels_first(embedded) if self._replaced is None else self._replaced
        if None in shift:
            tokens = self._replaced = tokens + shift[None]
        leaf = None if not self._options.tap_input else tokens if tokens.requires_grad else _leaf(tokens)
        recording.taps_of[id(embedded if text.ids is None else text.ids)] = (tokens, leaf, text)
        if text is recording.tokens or recording.given is None:
            recording.tokens, recording.given, recording.input = text, tokens, leaf
        if leaf is None:
            if text.ids is not None and self._replaced is not None:
                self._embedded[id(text.ids)] = tokens
            return embedded if self._replaced is None else text.as_the_model_has_it(tokens)
        if text.ids is not None:
            self._embedded[id(text.ids)] = leaf
        return text.as_the_model_has_it(leaf).clone()


def _by_name(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, Any]:
    """The call's tensors by keyword, or by key of the batch that it received."""
    parts = [*args, *(part for one in args if isinstance(one, list | tuple) for part in one)]
    mapping = next((one for one in parts if isinstance(one, Mapping)), None)
    return kwargs if mapping is None else {**mapping, **kwargs}


def _same_values(tensor: Tensor, given: Tensor) -> bool:
    return tensor.shape == given.shape and tensor.device == given.device and bool((tensor == given).all())


def _leaf(tensor: Tensor) -> Tensor:
    # A copy: the caller may change its tensor after the forward pass.
    return tensor.detach().clone().requires_grad_()
