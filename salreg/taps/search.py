"""Finds the logits of a user's step among the outputs of its modules."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from salreg.taps.calls import REMEDY, Call, Output, for_places, is_span, last_of, may_be_logits, of_one_module, outputs_of
from salreg.taps.layers import name_of
from salreg.taps.layout import Layout, asks_differently, read_layout, reads_other_numbers
from salreg.taps.loss_graph import (
    Link,
    below,
    gives_probabilities,
    is_compared_after,
    is_read_otherwise,
    link_of,
    logits_in_loss,
    margin_in,
    node_of,
    target_of,
    uses_parameters_after,
)
from salreg.taps.options import Options

_NO_TAP = (
    "The step has no floating point input to explain, and no nn.Embedding received these numbers unchanged. Name the module "
    "that embeds them with embedding='...', or convert the input to float in the dataset (image / 255). If the step passes "
    "inputs_embeds, annotate these by name: AnnotatedDataset(base, {'inputs_embeds': annotations})."
)


@dataclass(frozen=True)
class Found:
    """Where the logits of a step come from, so that the next step need not be searched.

    Attributes:
        modules: The modules that return them, each with the turn of its call and the position among its tensors; empty if only
            the loss contains them.
        link: How the loss reads them; None if that is not known.
        probabilities: Whether the modules return probabilities, of which the logarithm is taken to get logits.
        target: The targets that the loss compares them with, if it keeps them.
        layout: The axes of their classes and places, if they are logits for many places.
    """

    modules: tuple[tuple[nn.Module, int, int], ...]
    link: Link | None = None
    probabilities: bool = False
    target: Tensor | None = None
    layout: Layout | None = None

    @property
    def is_derived(self) -> bool:
        """Whether salreg computes the logits from the modules' outputs, beside what the loss does with them."""
        return self.probabilities or len(self.modules) > 1 or self.layout is not None


def search(
    calls: Sequence[Call], taps: Sequence[Tensor], loss: Tensor | None, size: int, model: nn.Module, options: Options
) -> Found:
    """Where the logits of a step come from.

    Args:
        calls: The calls that the step made, in order.
        taps: The tensors that the logits depend on; empty if nothing is tapped, and only the loss shows them.
        loss: The loss, if the step returned one.
        size: The number of samples in the batch.
        model: The model that the step belongs to.
        options: How the step was observed.

    Raises:
        RuntimeError: The logits cannot be identified; the message gives the reason and the remedy.
    """
    loss = loss if loss is not None and loss.requires_grad else None
    if not taps and (loss is None or options.tap_input):
        raise RuntimeError(_NO_TAP)
    ends = {node_of(tap) for tap in taps}
    last = _last_returned(calls, taps, loss, size, model, options)
    told = options.forward_module is not None
    compared = loss is not None and bool(last) and not told and is_compared_after(loss, last[0].tensor)
    if loss is not None and (not last or compared or uses_parameters_after(loss, last[0].tensor)):
        logits = logits_in_loss(loss, ends)
        if logits is not None and not (compared and is_read_otherwise(loss, last[0].tensor, logits)):
            return Found((), options.link or _link_of_raw(loss, logits), target=target_of(loss, logits))
    if compared:
        raise RuntimeError(
            f"What {name_of(model, last[0].call.module)!r} returns are not logits: the loss uses products, distances or parts "
            "of it, in a way that does not reveal the logits. Pass the logits through their own module (self.logits = "
            f"nn.Identity() in __init__, and self.logits(...) in the step). {REMEDY} If there is only an embedding, name its "
            "module, and add link='regression'."
        )
    if not last:
        raise RuntimeError(_unreached(calls, loss is not None and bool(ends & below(loss)), model))
    if loss is not None and len(last) > 1 and not told and margin_in(loss) is not None:
        return Found((), "sigmoid")
    if loss is not None and not told:
        pooled = _pooled_later(last, loss, ends, size)
        if pooled is not None:
            return Found((), options.link or _link_of_raw(loss, pooled), target=target_of(loss, pooled))
    found = _found(last, loss, name_of(model, last[0].call.module))
    if options.link is None or found.layout is not None:
        return found
    return replace(found, link=options.link, probabilities=found.probabilities and options.link != "regression")


def _last_returned(
    calls: Sequence[Call], taps: Sequence[Tensor], loss: Tensor | None, size: int, model: nn.Module, options: Options
) -> list[Output]:
    """The last outputs that depend on the taps and reach the loss; empty if only the loss can show the logits."""
    ends, outputs = {node_of(tap) for tap in taps}, outputs_of(calls)
    reached = [one for one in outputs if (ends & below(one.tensor) if taps else one.tensor.requires_grad)]
    under_loss = set() if loss is None else below(loss)
    trained = reached if loss is None else [one for one in reached if node_of(one.tensor) in under_loss]
    if reached and not trained:
        raise RuntimeError(
            f"The training loss does not depend on what {name_of(model, reached[-1].call.module)!r} returned for the batch, "
            f"so another forward pass must be training the model. {REMEDY}"
        )
    last = last_of([one for one in trained if may_be_logits(one, size)])
    if len(last) < 2 or options.forward_module is not None:
        return last
    try:
        return of_one_module(last, model)
    except RuntimeError:
        # The loss may combine several outputs: the mean of an ensemble, images compared with texts.
        if loss is None or logits_in_loss(loss, ends) is None:
            raise
        return []


def _pooled_later(last: Sequence[Output], loss: Tensor, ends: set[Node], size: int) -> Tensor | None:
    """The samples' logits ``(B, classes)`` that the loss reads, if the step pools what a module returned for their parts, such
    as the instances of a bag or the points of a cloud; None otherwise."""
    parts = last[0].tensor
    if len(last) > 1 or parts.ndim < 2 or (parts.ndim == 2 and len(parts) == size) or read_layout(loss, [parts]) is not None:
        return None
    logits = logits_in_loss(loss, ends)
    if logits is None or logits.ndim > 2 or len(logits) != size or is_read_otherwise(loss, parts, logits):
        return None
    return logits


def _found(last: list[Output], loss: Tensor | None, name: str) -> Found:
    """What the loss shows about the logits that a module of this name returned."""
    modules, tensors = tuple((one.call.module, one.call.turn, one.position) for one in last), [one.tensor for one in last]
    layout = None if loss is None or not for_places(last) else read_layout(loss, tensors)
    layout = Layout("span", 1) if layout is None and is_span(last) else layout
    if layout is not None:
        return Found(modules, layout.link, target=None if loss is None else layout.target_in(loss, tensors), layout=layout)
    first = tensors[0]
    if loss is None:
        return Found(modules, None, gives_probabilities(first))
    if first.ndim == 3:
        _check_told(loss, first, name)
    link = link_of(loss, first)
    return Found(modules, link, gives_probabilities(first) and link != "regression", target_of(loss, first))


def _check_told(loss: Tensor, logits: Tensor, name: str) -> None:
    """Refuse logits ``(B, ., .)`` if the loss does not show which classes and places it compares."""
    if asks_differently(loss, logits):
        raise RuntimeError(
            f"The loss compares parts of what {name!r} returned, shape {tuple(logits.shape)}, with different targets, and it "
            "is not clear which part belongs to which. For an answer's start and end, return two tensors called start_logits "
            f"and end_logits. {REMEDY}"
        )
    if reads_other_numbers(loss, logits):
        raise RuntimeError(
            f"The loss takes the softmax of numbers other than those {name!r} returned, for example after a temperature or a "
            "mask, or of numbers that are all equal, so the classes cannot be identified. Let a module return what the loss "
            "reads: self.logits = nn.Identity() in __init__, and self.logits(...) in the step."
        )


def known_logits(found: Found | None, calls: Sequence[Call]) -> Tensor | None:
    """The logits from the outputs of the modules known to return them, averaged if there are several; None until all modules
    were called."""
    outputs = known_outputs(found, calls)
    if found is None or outputs is None:
        return None
    if found.layout is not None:
        return found.layout.of(outputs)
    logits = outputs[0] if len(outputs) == 1 else torch.stack(outputs).mean(0)
    return from_probabilities(logits) if found.probabilities else logits


def known_outputs(found: Found | None, calls: Sequence[Call]) -> list[Tensor] | None:
    """The modules' outputs from which the logits are computed; None until all modules were called."""
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
    """Logits whose softmax is the output, or whose sigmoid is if a sample has one number or several independent labels."""
    smallest = torch.finfo(output.dtype).tiny
    logs = output.clamp(min=smallest).log()
    exclusive = output.ndim > 1 and output.shape[1] > 1 and bool(((output.sum(1) - 1).abs() < 1e-2).all())
    return logs if exclusive else logs - (1 - output).clamp(min=torch.finfo(output.dtype).eps).log()


def _link_of_raw(loss: Tensor, logits: Tensor) -> Link | None:
    """How a loss reads logits that no module returned."""
    return "softmax" if "LogSoftmax" in node_of(logits).name() else link_of(loss, logits)


def _unreached(calls: Sequence[Call], by_loss: bool, model: nn.Module) -> str:
    if not calls:
        return f"The step called no module with gradients enabled, so the forward pass could not be found. {REMEDY}"
    called = ", ".join(dict.fromkeys(repr(name_of(model, call.module)) for call in calls))
    if by_loss:
        return f"The loss depends on the batch's input, but no output of {called} has one entry per sample. {REMEDY}"
    if not any(output.requires_grad for call in calls for output in call.outputs):
        return (
            f"Nothing that {called} returned carries a gradient: the step, or its call of the network, runs under its own "
            "torch.no_grad() or torch.inference_mode(). Remove it: in validation Lightning already disables gradients."
        )
    return (
        f"The batch's input does not reach the output of {called} with a gradient: it went through integers, .numpy(), "
        "detach() or a transform under torch.no_grad() and came out with other values, so the marks may no longer fit. Do "
        "this in the dataset (salreg.data.Augmented moves the marks with the images), or keep it differentiable (a frozen "
        "network needs requires_grad_(False) only, not torch.no_grad())."
    )
