"""How a LightningModule calls its network, learned from one of its own steps and repeated on other samples.

A user's module may run ``self(x)``, ``self.net(x)`` or ``self.net(input_ids=..., attention_mask=...)``. Monitors have to do
the same with samples of their own, without running the user's step, which would log and update metrics.
"""

from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import Tensor

from salreg.taps import Recording, find_layer, record, replace_tensor, tensors_in


@dataclass(frozen=True)
class ForwardCall:
    """A call of one module, with the batch's tensors left open.

    Attributes:
        module: Name of the module that receives the batch's tensors; "" for the LightningModule itself.
        args: Positional arguments, where a ``_FromBatch`` stands for each tensor of the batch.
        kwargs: Keyword arguments, likewise.
        input_index: Which of the batch's tensors is explained.
        forward_module: Name of the module whose output is the logits, where the user gave one.
        embedding: Name of the module that embeds token numbers, likewise.
    """

    module: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    input_index: int
    forward_module: str | None = None
    embedding: str | None = None

    @classmethod
    def learn(
        cls,
        module: pl.LightningModule,
        recording: Recording,
        sample: Any,
        forward_module: str | None = None,
        embedding: str | None = None,
    ) -> "ForwardCall":
        """Turn an observed step into a call that can be repeated.

        Raises:
            RuntimeError: It cannot be repeated; the message says why and what helps.
        """
        names = {id(m): name for name, m in module.named_modules()}
        index, arguments = recording.input_index(), (recording.args, recording.kwargs)
        for position, tensor in enumerate(tensors_in(sample)):
            arguments = replace_tensor(arguments, tensor, _FromBatch(position))
        repeatable = recording.problem is None and recording.logits is not None and id(recording.module) in names
        if not repeatable or index is None or tensors_in(arguments):
            raise RuntimeError(recording.problem or _needs_forward(module))
        return cls(names[id(recording.module)], *arguments, index, forward_module, embedding)

    @classmethod
    def of_forward(cls, module: pl.LightningModule, sample: Any) -> "ForwardCall":
        """The Lightning convention: ``module(x)`` on the batch's first floating point tensor."""
        floating = [i for i, tensor in enumerate(tensors_in(sample)) if tensor.is_floating_point()]
        if not floating or not is_overridden("forward", module):
            raise RuntimeError(_needs_forward(module))
        return cls("", (_FromBatch(floating[0]),), {}, floating[0])

    def input_of(self, sample: Any) -> Tensor:
        """The explained input of a batch: images, rows of a table, or token numbers."""
        return tensors_in(sample)[self.input_index]

    def run(self, module: pl.LightningModule, sample: Any, layers: Any = (), replaced: Tensor | None = None) -> Recording:
        """Make the call on a batch, under observation, with its taps open if gradients are enabled.

        Args:
            module: The LightningModule.
            sample: The batch, laid out like the one the call was learned from.
            layers: Layers whose outputs are taps.
            replaced: Stands for the explained input, or for the embedded tokens ``(B, E, T)`` of a text.
        """
        tensors = tensors_in(sample)
        of_tokens = not tensors[self.input_index].is_floating_point()
        if replaced is not None and not of_tokens:
            tensors[self.input_index] = replaced
        args, kwargs = _fill((self.args, self.kwargs), tensors)
        called = find_layer(module, self.module)
        with record(
            module,
            layers,
            batch=tensors,
            forward_module=called if self.forward_module is None else find_layer(module, self.forward_module),
            embedding=None if self.embedding is None else find_layer(module, self.embedding),
            tap_input=replaced is None and torch.is_grad_enabled(),
            replaced=replaced if of_tokens else None,
            inputs=[tensors[self.input_index]],
        ) as recording:
            called(*args, **kwargs)
        return recording


@dataclass(frozen=True)
class _FromBatch:
    position: int


def _fill(arguments: Any, tensors: list[Tensor]) -> Any:
    if isinstance(arguments, _FromBatch):
        return tensors[arguments.position]
    if isinstance(arguments, dict):
        return {key: _fill(value, tensors) for key, value in arguments.items()}
    if type(arguments) in (tuple, list):
        return type(arguments)(_fill(value, tensors) for value in arguments)
    return arguments


def _needs_forward(module: pl.LightningModule) -> str:
    return (
        f"The way {type(module).__name__}'s step calls its network cannot be repeated on other samples: its input is not one "
        "of the batch's tensors. Give the LightningModule a forward(x) that returns the logits of a batch's "
        "input, and call self(x) in the steps."
    )
