"""Finding the logits of a user's step among what its modules returned."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from salreg.random_state import RandomState
from salreg.taps.layers import name_of
from salreg.taps.layout import Layout, asks_differently, read_layout, reads_other_numbers
from salreg.taps.loss_graph import (
    Link,
    below,
    gives_probabilities,
    is_compared_after,
    link_of,
    logits_in_loss,
    margin_in,
    node_of,
    target_of,
    uses_parameters_after,
)
from salreg.taps.nested import tensors_in
from salreg.taps.options import Options

REMEDY = (
    "Name the module whose output is the logits with forward_module='...' (a name from named_modules(), or '' for the "
    "LightningModule itself)."
)


_NO_TAP = (
    "The step has no floating point input to explain, and no nn.Embedding received these numbers as they are. Name the "
    "module that embeds them with embedding='...', or convert the input to float in the dataset (image / 255). Where the step "
    "hands on inputs_embeds, annotate these by name: AnnotatedDataset(base, {'inputs_embeds': annotations})."
)


@dataclass
class Call:
    """One outermost call of a module during a step.

    Attributes:
        module: What was called.
        turn: How often it had been called before in this step.
        arguments: Its ``(args, kwargs)``, where the batch's own tensor was among them as it was; otherwise None.
        outputs: The floating point tensors that it returned.
        output: All that it returned.
        draws: The random state before it, where that may be needed again.
        is_random: Whether it drew random numbers, where that was looked at.
    """

    module: nn.Module
    turn: int
    arguments: tuple[Any, Any] | None
    outputs: list[Tensor]
    output: Any
    draws: RandomState | None = None
    is_random: bool = False


@dataclass(frozen=True)
class Found:
    """Where the logits of a step come from, so that the next step need not be searched.

    Attributes:
        modules: The modules that return them, each with the turn of its call and the position among its tensors; none
            where only the loss knows them.
        link: How the loss reads them; None where that is not known.
        probabilities: Whether they are probabilities, and the logarithm is to be taken back.
        target: The targets that the loss compares them with, where it says.
        layout: Where their classes and places lie, if they are logits for many places.
    """

    modules: tuple[tuple[nn.Module, int, int], ...]
    link: Link | None = None
    probabilities: bool = False
    target: Tensor | None = None
    layout: Layout | None = None

    @property
    def is_derived(self) -> bool:
        """Whether the logits are made of what the modules returned, beside what the loss makes of it."""
        return self.probabilities or len(self.modules) > 1 or self.layout is not None


def search(
    calls: Sequence[Call], taps: Sequence[Tensor], loss: Tensor | None, size: int, model: nn.Module, options: Options
) -> Found:
    """Where the logits of a step come from.

    Args:
        calls: The calls that it made, in their order.
        taps: What the logits depend on; empty where nothing was tapped, and the loss alone tells.
        loss: What the step returned, where it did.
        size: How many samples the batch has.
        model: That the step belongs to.
        options: How the step was observed.

    Raises:
        RuntimeError: They cannot be told, with the reason and the remedy.
    """
    loss = loss if loss is not None and loss.requires_grad else None
    if not taps and (loss is None or options.tap_input):
        raise RuntimeError(_NO_TAP)
    ends = {node_of(tap) for tap in taps}
    outputs = [(call, position, tensor) for call in calls for position, tensor in enumerate(call.outputs)]
    reached = [one for one in outputs if ends & below(one[2])] if taps else [one for one in outputs if one[2].requires_grad]
    under_loss = set() if loss is None else below(loss)
    trained = reached if loss is None else [one for one in reached if node_of(one[2]) in under_loss]
    if reached and not trained:
        raise RuntimeError(
            f"The training loss does not depend on what {name_of(model, reached[-1][0].module)!r} returned for the batch, so "
            f"that another forward pass trains the model. {REMEDY}"
        )
    fitting = [one for one in trained if _may_be_logits(one, size)]
    last = _last(fitting)
    if len(last) > 1 and options.forward_module is None:
        try:
            last = _one_module(last, model)
        except RuntimeError:
            # The loss may bring several together: the mean of an ensemble, images compared with texts.
            if loss is None or logits_in_loss(loss, ends) is None:
                raise
            last = []
    compared = loss is not None and bool(last) and options.forward_module is None and is_compared_after(loss, last[0][2])
    if loss is not None and (not last or compared or uses_parameters_after(loss, last[0][2])):
        logits = logits_in_loss(loss, ends)
        if logits is not None:
            return Found((), _link_of_raw(logits), target=target_of(loss, logits))
    if compared:
        raise RuntimeError(
            f"What {name_of(model, last[0][0].module)!r} returns is an embedding: the loss reads products of it, in a way that "
            f"does not tell the logits. Give these a module of their own, if only nn.Identity()(logits). {REMEDY}"
        )
    if not last:
        raise RuntimeError(_unreached(calls, bool(ends & under_loss), model))
    if loss is not None and len(last) > 1 and options.forward_module is None and margin_in(loss) is not None:
        return Found((), "sigmoid")
    modules, tensors = tuple((call.module, call.turn, position) for call, position, _ in last), [one[2] for one in last]
    layout = None if loss is None or not _for_places(last) else read_layout(loss, tensors)
    layout = Layout("span", 1) if layout is None and _is_span(last) else layout
    if layout is not None:
        target = None if loss is None else layout.target_in(loss, tensors)
        return Found(modules, layout.link, target=target, layout=layout)
    if loss is not None and tensors[0].ndim == 3 and asks_differently(loss, tensors[0]):
        raise RuntimeError(
            f"The loss compares parts of what {name_of(model, last[0][0].module)!r} returned, shape {tuple(tensors[0].shape)}, "
            "with targets that differ, and it cannot be told which part belongs to which. Of an answer's start and end return "
            "two tensors called start_logits and end_logits. " + REMEDY
        )
    if loss is not None and tensors[0].ndim == 3 and reads_other_numbers(loss, tensors[0]):
        raise RuntimeError(
            f"The loss takes the softmax of other numbers than {name_of(model, last[0][0].module)!r} returned, as behind a "
            "temperature or a mask, or of numbers that are all alike, so that it cannot be told which are the classes. Let a "
            "module return what the loss reads: self.logits = nn.Identity() in __init__, and self.logits(...) in the step."
        )
    first = tensors[0]
    link = None if loss is None else link_of(loss, first)
    return Found(
        modules,
        link,
        gives_probabilities(first) and link != "regression",
        None if loss is None else target_of(loss, first),
    )


def known_logits(found: Found | None, calls: Sequence[Call]) -> Tensor | None:
    """What the modules returned that are known to give the logits, and their mean where there are several; None until all of
    them were called."""
    outputs = known_outputs(found, calls)
    if found is None or outputs is None:
        return None
    if found.layout is not None:
        return found.layout.of(outputs)
    logits = outputs[0] if len(outputs) == 1 else torch.stack(outputs).mean(0)
    return from_probabilities(logits) if found.probabilities else logits


def known_outputs(found: Found | None, calls: Sequence[Call]) -> list[Tensor] | None:
    """The tensors that the modules returned of which the logits are made; None until all of them were called."""
    if found is None or not found.modules:
        return None
    made = {(id(call.module), call.turn): call for call in calls}
    outputs = []
    for module, turn, position in found.modules:
        call = made.get((id(module), turn))
        if call is None or position >= len(call.outputs):
            return None
        outputs.append(call.outputs[position])
    return outputs


def logits_of(found: Found, calls: Sequence[Call], taps: Sequence[Tensor], loss: Tensor | None) -> Tensor:
    """The logits that a search has just found."""
    logits = known_logits(found, calls)
    if logits is None:
        assert loss is not None
        margin = margin_in(loss)
        logits = logits_in_loss(loss, [node_of(tap) for tap in taps]) if margin is None else margin
        assert logits is not None
    return logits


def from_probabilities(output: Tensor) -> Tensor:
    """Logits whose softmax, or sigmoid where there is one number a sample or the classes are labels, is the output."""
    smallest = torch.finfo(output.dtype).tiny
    logs = output.clamp(min=smallest).log()
    exclusive = output.ndim > 1 and output.shape[1] > 1 and bool(((output.sum(1) - 1).abs() < 1e-2).all())
    return logs if exclusive else logs - (1 - output).clamp(min=torch.finfo(output.dtype).eps).log()


def _link_of_raw(logits: Tensor) -> Link | None:
    """How a loss reads logits that it alone knows."""
    return "softmax" if "LogSoftmax" in node_of(logits).name() else None


def _may_be_logits(one: tuple[Call, int, Tensor], size: int) -> bool:
    """A loss or a metric is none, nor is what does not go by samples."""
    call, _, tensor = one
    metrics = sys.modules.get("torchmetrics")  # which takes its time to import, and is there where a module has one
    if isinstance(call.module, (nn.modules.loss._Loss, *([] if metrics is None else [metrics.Metric]))):
        return False
    return tensor.ndim > 0 and len(tensor) > 0 and len(tensor) % size == 0


def _last(outputs: list[tuple[Call, int, Tensor]]) -> list[tuple[Call, int, Tensor]]:
    """Those of which nothing else in the list was made."""
    under: dict[int, set[Node]] = {index: below(tensor) for index, (_, _, tensor) in enumerate(outputs)}
    return [
        one
        for index, one in enumerate(outputs)
        if not any(
            node_of(one[2]) in nodes and node_of(outputs[other][2]) is not node_of(one[2])
            for other, nodes in under.items()
            if other != index
        )
    ]


def _one_module(outputs: list[tuple[Call, int, Tensor]], model: nn.Module) -> list[tuple[Call, int, Tensor]]:
    """The logits among several outputs: all of one module called several times, or the only one called ``logits``.

    Raises:
        RuntimeError: There are several candidates.
    """
    if len({(id(call.module), tensor.shape) for call, _, tensor in outputs}) == 1 and len({o[1] for o in outputs}) == 1:
        return outputs
    if _is_span(outputs):
        return outputs
    called = [one for one in outputs if _logits_of(one[0].output) is one[2]]
    if called and len({id(call.module) for call, _, _ in outputs}) == 1:
        return called
    names = {f"{name_of(model, call.module)!r} {tuple(tensor.shape)}" for call, _, tensor in outputs}
    raise RuntimeError(f"{len(outputs)} candidates for the logits: {', '.join(sorted(names))}. {REMEDY}")


def _is_span(outputs: list[tuple[Call, int, Tensor]]) -> bool:
    """Whether these are a call's ``start_logits`` and ``end_logits``, in this order."""
    named = [_logits_of(outputs[0][0].output, name) for name in ("start_logits", "end_logits")] if len(outputs) == 2 else []
    return bool(named) and all(one is output for one, (_, _, output) in zip(named, outputs, strict=True))


def _for_places(outputs: list[tuple[Call, int, Tensor]]) -> bool:
    """Whether these may be logits for many places: one tensor ``(B, ., .)``, or the two of a span."""
    return _is_span(outputs) or (len(outputs) == 1 and outputs[0][2].ndim == 3)


def _logits_of(output: Any, name: str = "logits") -> Tensor | None:
    held = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
    return held if isinstance(held, Tensor) else None


def _unreached(calls: Sequence[Call], by_loss: bool, model: nn.Module) -> str:
    if not calls:
        return f"The step called no module with gradients enabled, so that the forward pass could not be found. {REMEDY}"
    called = ", ".join(dict.fromkeys(repr(name_of(model, call.module)) for call in calls))
    if by_loss:
        return f"The loss depends on the batch's input, but no output of {called} goes by its samples. {REMEDY}"
    return (
        f"The batch's input does not reach the output of {called} with a gradient: it went through integers, .numpy(), "
        "detach() or a transform under torch.no_grad() and came out with other values, so that the marks may lie elsewhere by "
        "now. Do this in the dataset (salreg.data.Augmented moves the marks with the images), or keep it differentiable."
    )


def find_logits(output: Any) -> Tensor:
    """The logits in a module's output: the tensor itself, ``.logits``, ``["logits"]``, or a tuple's only float tensor."""
    named = _logits_of(output)
    tensors = [tensor for tensor in tensors_in(output if named is None else named) if tensor.is_floating_point()]
    if len(tensors) != 1:
        raise ValueError(
            f"{len(tensors)} candidates for the logits in the output ({type(output).__name__}); return them as a tensor, "
            "as an attribute or a dict entry called 'logits', or name the module that gives them with forward_module='...'."
        )
    return tensors[0]
