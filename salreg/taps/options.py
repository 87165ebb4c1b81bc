"""What an observation of a forward pass is asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from salreg.taps.layers import Layer
from salreg.taps.loss_graph import Link

#: From a module, its arguments and the tap among these to the output and, where it can be had, the gradient at the tap.
WithGradient = Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Tensor], tuple[Any, Tensor | None]]


@dataclass(frozen=True)
class Options:
    """How a forward pass is observed.

    Attributes:
        layers: Layers of the model, by name or as modules, whose outputs are taps.
        forward_module: The module whose output is the logits; by default the observed call's own output, or what a search of
            the step finds.
        link: How the training loss reads the logits, where somebody says so; else the loss tells.
        embedding: The module that embeds token numbers, where it is not the ``nn.Embedding`` that receives them as they are.
        tap_input: Whether the input becomes a tap. False observes without touching anything.
        searching: Whether the input becomes a tap only so that the logits can be found.
        at_entry: Whether a step's input becomes a tap where a module receives it, and not before, because code ahead of the
            module fails on tensors that require grad.
        replaced: Embedded tokens ``(B, E, T)`` to stand for those of the call.
        inputs: Which of the call's tensors are explained (``Recording.of`` chooses among them). By default it is the first
            floating point one, or token numbers.
        shift: What is added to the activations at taps.
        late_terms: Whether to make room for terms of the loss that run the call again (``Recording.late``).
        in_training: Whether calls without gradients are another network's, and passed over; by default where there are taps.
        stays_compiled: Whether compiled modules are only observed from outside, as hooks inside are not called. By default they
            have to run uncompiled.
        with_gradient: The module that gives the logits, and what calls it and takes the gradient at its input in one go
            (``Recording.gradient``); modules inside are not seen.
    """

    layers: Sequence[Layer] = ()
    forward_module: nn.Module | None = None
    link: Link | None = None
    embedding: nn.Module | None = None
    tap_input: bool = True
    searching: bool = False
    at_entry: bool = False
    replaced: Tensor | None = None
    inputs: Sequence[Tensor] = ()
    shift: Mapping[Layer | None, Tensor] = field(default_factory=dict)
    late_terms: bool = False
    in_training: bool | None = None
    stays_compiled: bool = False
    with_gradient: tuple[nn.Module, WithGradient] | None = None

    @property
    def skips_calls_without_gradients(self) -> bool:
        """Whether such calls are those of a teacher or a momentum encoder."""
        return self.tap_input if self.in_training is None else self.in_training
