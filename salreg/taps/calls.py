"""What the modules of a step returned, and which of these tensors may be logits."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.autograd.graph import Node

from salreg.random_state import RandomState
from salreg.taps.layers import name_of
from salreg.taps.loss_graph import below, node_of
from salreg.taps.nested import tensors_in

REMEDY = (
    "Name the module whose output is the logits with forward_module='...' (a name from named_modules(), or '' for the "
    "LightningModule itself)."
)


@dataclass
class Call:
    """One outermost call of a module during a step.

    Attributes:
        module: The module that was called.
        turn: How often it had been called before in this step.
        arguments: Its ``(args, kwargs)`` if they contain the batch's own tensor unchanged; otherwise None.
        outputs: The floating point tensors that it returned.
        output: Everything that it returned.
        rng: The random state before the call, if it may be needed again.
        is_random: Whether it drew random numbers, if that was checked.
    """

    module: nn.Module
    turn: int
    arguments: tuple[Any, Any] | None
    outputs: list[Tensor]
    output: Any
    rng: RandomState | None = None
    is_random: bool = False


class Output(NamedTuple):
    """A tensor that a call returned.

    Attributes:
        call: The call that returned it.
        position: Its index among the call's tensors.
        tensor: The tensor.
    """

    call: Call
    position: int
    tensor: Tensor


def outputs_of(calls: Sequence[Call]) -> list[Output]:
    """All floating point tensors that some calls returned."""
    return [Output(call, position, tensor) for call in calls for position, tensor in enumerate(call.outputs)]


def may_be_logits(one: Output, size: int) -> bool:
    """Whether an output is neither a loss nor a metric, and has entries for each sample."""
    call, tensor = one.call, one.tensor
    metrics = sys.modules.get("torchmetrics")  # slow to import, and already imported if a module is a metric
    if isinstance(call.module, (nn.modules.loss._Loss, *([] if metrics is None else [metrics.Metric]))):
        return False
    return tensor.ndim > 0 and len(tensor) > 0 and len(tensor) % size == 0


def last_of(outputs: list[Output]) -> list[Output]:
    """The outputs from which no other output in the list was computed."""
    under: dict[int, set[Node]] = {index: below(one.tensor) for index, one in enumerate(outputs)}
    return [
        one
        for index, one in enumerate(outputs)
        if not any(
            node_of(one.tensor) in nodes and node_of(outputs[other].tensor) is not node_of(one.tensor)
            for other, nodes in under.items()
            if other != index
        )
    ]


def of_one_module(outputs: list[Output], model: nn.Module) -> list[Output]:
    """The logits among several outputs: all of one module called several times, or the only one called ``logits``.

    Raises:
        RuntimeError: There are several candidates.
    """
    alike = len({(id(one.call.module), one.tensor.shape) for one in outputs}) == 1
    if (alike and len({one.position for one in outputs}) == 1) or is_span(outputs):
        return outputs
    called = [one for one in outputs if _named(one.call.output) is one.tensor]
    if called and len({id(one.call.module) for one in outputs}) == 1:
        return called
    names = {f"{name_of(model, one.call.module)!r} {tuple(one.tensor.shape)}" for one in outputs}
    raise RuntimeError(f"{len(outputs)} candidates for the logits: {', '.join(sorted(names))}. {REMEDY}")


def is_span(outputs: list[Output]) -> bool:
    """Whether these are a call's ``start_logits`` and ``end_logits``, in this order."""
    if len(outputs) != 2:
        return False
    named = [_named(outputs[0].call.output, name) for name in ("start_logits", "end_logits")]
    return all(one is output.tensor for one, output in zip(named, outputs, strict=True))


def for_places(outputs: list[Output]) -> bool:
    """Whether these may be logits for many places: one tensor ``(B, ., .)``, or the two of a span."""
    return is_span(outputs) or (len(outputs) == 1 and outputs[0].tensor.ndim == 3)


def find_logits(output: Any) -> Tensor:
    """The logits in a module's output: the tensor itself, ``.logits``, ``["logits"]``, or a tuple's only float tensor."""
    named = _named(output)
    tensors = [tensor for tensor in tensors_in(output if named is None else named) if tensor.is_floating_point()]
    if len(tensors) != 1:
        raise ValueError(
            f"{len(tensors)} candidates for the logits in the output ({type(output).__name__}); return them as a tensor, as "
            "an attribute or a dict entry called 'logits', or name the module that returns them with forward_module='...'."
        )
    return tensors[0]


def _named(output: Any, name: str = "logits") -> Tensor | None:
    held = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
    return held if isinstance(held, Tensor) else None
