"""Observes a user's whole step, from the batch's own tensors to the logits, whatever lies between them."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from torch import Tensor, nn

from salreg.random_state import RandomState
from salreg.taps.calls import Call, find_logits
from salreg.taps.loss_graph import below, node_of
from salreg.taps.nested import shells, tensors_in
from salreg.taps.observer import Observer
from salreg.taps.options import Options
from salreg.taps.search import Found, known_logits, known_outputs, logits_of, search


class Reached(BaseException):
    """Ends a step once its logits are known. It is a ``BaseException`` so that no ``except Exception`` of a user catches it."""


class _Open(NamedTuple):
    """A call that has begun and not yet returned."""

    module: nn.Module
    turn: int
    arguments: tuple[Any, Any] | None
    rng: RandomState | None


class StepObserver(Observer):
    """Observes a user's step. The logits are the last of its modules' outputs that depend on the batch's input.

    Args:
        model: The module that the step belongs to.
        options: How to observe.
        found: Where the logits come from, if that is known.
    """

    _sees_failed_calls = True  # otherwise the outermost calls could no longer be told from the others

    def __init__(self, model: nn.Module, options: Options, found: Found | None = None) -> None:
        super().__init__(model, options)
        self.recording.found = found
        self._calls: list[Call] = []
        self._open: list[_Open | None] = []
        self._turns: Counter[int] = Counter()
        self._stops = False

    def enter(
        self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        entered: tuple[Any, Any] = shells(super().enter(call, args, kwargs))  # steps pop labels from their batch
        return entered

    def run(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run the step once more, up to its logits."""
        args, kwargs = self.enter(call, args, kwargs)
        self._stops, output = True, None
        with suppress(Reached):
            output = call(*args, **kwargs)
        self.settle(output if isinstance(output, Tensor) and self.concerns(output) else None)

    def settle(self, loss: Tensor | None) -> None:
        """Find the logits of the step that has run.

        Args:
            loss: The step's return value, if it is a loss.

        Raises:
            RuntimeError: The logits cannot be identified; ``recording.problem`` says why, too.
        """
        recording, taps = self.recording, self._taps()
        logits = known_logits(recording.found, self._calls)
        if logits is None:
            try:
                recording.found = search(self._calls, taps, loss, self._tap.size, self._model, self._options)
            except RuntimeError as error:
                recording.problem = str(error)
                raise
            logits = logits_of(recording.found, self._calls, taps, loss)
        recording.outputs = known_outputs(recording.found, self._calls) or []
        last = self._last_call()
        self._take(logits, None if last is None else last.output)
        if last is not None and last.arguments is not None and _is_output(logits, last.output):
            recording.call, (recording.args, recording.kwargs) = last.module, last.arguments
            recording.rng, recording.is_random = last.rng, last.is_random

    def concerns(self, loss: Tensor) -> bool:
        """Whether a loss depends on the batch's input, as far as this was observed."""
        taps, logits = self._taps(), known_logits(self.recording.found, self._calls)
        ends = {node_of(one) for one in (taps or ([] if logits is None else [logits]))}
        return bool(ends & below(loss))

    def _taps(self) -> list[Tensor]:
        """The tensors that the logits depend on: the input, or the layers if the input is not a tap."""
        return self._tap.leaves or list(self.recording.activations.values())

    def _last_call(self) -> Call | None:
        """The last call that returned logits."""
        modules = () if self.recording.found is None else self.recording.found.modules
        given = {(id(module), turn) for module, turn, _ in modules}
        return next((call for call in reversed(self._calls) if (id(call.module), call.turn) in given), None)

    def _hooked(self, seen: Sequence[nn.Module]) -> list[nn.Module]:
        return list(seen)

    def _before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        named, outermost = self._options.forward_module, not self._open
        arguments = (args, kwargs)
        if outermost and not self._is_past():
            self._tap.note_masks(args, kwargs)
            arguments = self._tap.reconnected(arguments)
        opened = None
        if module is named if named is not None else outermost:
            rng = RandomState(self._model) if self._options.late_terms else None
            opened = _Open(module, self._turns[id(module)], self._tap.as_given(arguments), rng)
            self._turns[id(module)] += 1
        self._open.append(opened)
        return arguments

    def _after(self, module: nn.Module, args: Any, output: Any) -> None:
        opened = self._open.pop() if self._open else None
        if opened is None or self._is_past():
            return
        outputs = [tensor for tensor in tensors_in(output) if tensor.is_floating_point()]
        moved = opened.rng is not None and opened.rng.has_moved()
        self._calls.append(Call(opened.module, opened.turn, opened.arguments, outputs, output, opened.rng, moved))
        if self._stops and known_logits(self.recording.found, self._calls) is not None:
            self._stops = False  # so that the modules around this one return, too
            raise Reached


def _is_output(logits: Tensor, output: Any) -> bool:
    try:
        return find_logits(output) is logits
    except ValueError:
        return False
