"""The options of an observed forward pass."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from salreg.taps.layers import Layer
from salreg.taps.loss_graph import Link

#: A function of a module, its arguments and the tap among them; returns the output and, if available, the tap's gradient.
WithGradient = Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Tensor], tuple[Any, Tensor | None]]


@dataclass(frozen=True)
class Options:
    """How a forward pass is observed.

    Attributes:
        layers: Layers of the model, by name or as modules, whose outputs are taps.
        forward_module: The module whose output is the logits; by default they are the observed call's own output, or found by a
            search of the step.
        link: How the training loss reads the logits, if the user says so; by default it is read off the loss.
        embedding: The module that embeds token numbers; by default the ``nn.Embedding`` that receives them unchanged.
        tap_input: Whether the input becomes a tap. False observes without touching anything.
        searching: Whether the input becomes a tap only so that the logits can be found.
        at_entry: Whether a step's input becomes a tap only when a module receives it, because code before the module fails on
            tensors that require grad.
        replaced: Embedded tokens ``(B, E, T)`` that replace those of the call.
        inputs: The call's tensors that are explained (``Recording.of`` chooses among them); by default the first floating point
            tensor, or the token numbers.
        shift: The tensors that are added to the activations at taps.
        late_terms: Whether terms can be added to the loss later that run the call again (``Recording.late``).
        in_training: Whether calls without gradients are another network's and are skipped; by default if the input is a tap.
        stays_compiled: Whether compiled modules stay compiled and are only observed from outside, because hooks inside are not
            called. By default they run uncompiled.
        with_gradient: The module that returns the logits, and a function that runs it and also returns the input gradient
            (``Recording.gradient``); modules inside are not observed.
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
        """Whether calls without gradients count as those of a teacher or a momentum encoder."""
        return self.tap_input if self.in_training is None else self.in_training
