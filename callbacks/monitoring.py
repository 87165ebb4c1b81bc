"""Computing saliency beside a training without leaving a trace in it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from salreg import annotations
from salreg.annotations import is_annotated
from salreg.attributions import Attribution
from salreg.attributions.cam import upsample
from salreg.callbacks.forward_call import ForwardCall
from salreg.callbacks.targets import Target, find_target
from salreg.data import AnnotatedBatch, annotations_by_input, input_named
from salreg.differentiation import sharded_parts, twice_differentiable
from salreg.random_state import cuda_devices
from salreg.taps import Recording, tensors_in


@dataclass
class Chunk:
    """Some samples of a batch.

    Attributes:
        tensors: The batch's tensors in their fixed order, each cut to the samples.
        annotation: ``(b, ...)``.
        target: ``(b,)``, where there is one.
        input_index: Which of the tensors is annotated, where several are.
        looked_at: The samples that somebody looked at, booleans ``(b,)``; by default those that carry a mark.
    """

    tensors: list[Tensor]
    annotation: Tensor
    target: Tensor | None
    input_index: int | None = None
    looked_at: Tensor = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.looked_at is None:
            self.looked_at = is_annotated(self.annotation)

    @classmethod
    def whole(cls, batch: AnnotatedBatch, target: Target = None, input: str | None = None) -> "Chunk":
        """All samples of a batch.

        Args:
            batch: Where several inputs are annotated, the first counts, or that named.
            target: Where the true classes are, see ``find_target``.
            input: The annotated input.

        Raises:
            KeyError: No input of that name is annotated, or there is nothing at ``target``.
        """
        name, annotation = next(iter(annotations_by_input(batch.annotation, input).items()))
        looked_at = annotations_by_input(cast(Any, batch.looked_at), input)[name]
        tensors = tensors_in(batch.sample)
        index = None
        if name is not None:
            given = input_named(batch.sample, name)
            index = next(index for index, tensor in enumerate(tensors) if tensor is given)
        classes = find_target(batch.sample, target)
        # Tensors made in inference mode cannot carry a gradient; copies made outside of it can.
        classes = classes if classes is None else _ordinary(classes)
        return cls([_ordinary(tensor) for tensor in tensors], annotation, classes, index, looked_at)

    def __len__(self) -> int:
        return len(self.annotation)

    def __getitem__(self, chosen: slice | list[int]) -> "Chunk":
        tensors = [t[chosen] if t.ndim and len(t) == len(self) else t for t in self.tensors]
        target = None if self.target is None else self.target[chosen]
        return replace(
            self, tensors=tensors, annotation=self.annotation[chosen], target=target, looked_at=self.looked_at[chosen]
        )

    def to(self, device: torch.device) -> "Chunk":
        target = None if self.target is None else self.target.to(device)
        tensors = [tensor.to(device) for tensor in self.tensors]
        annotation, looked_at = self.annotation.to(device), self.looked_at.to(device)
        return replace(self, tensors=tensors, annotation=annotation, target=target, looked_at=looked_at)

    def pieces(self, size: int) -> Iterator["Chunk"]:
        """Pieces of at most so many samples, about as large as one another."""
        count = max(1, -(-len(self) // size))
        step = max(1, -(-len(self) // count))
        for start in range(0, len(self), step):
            yield self[start : start + step]


def explain(module: pl.LightningModule, call: ForwardCall, attribution: Attribution, chunk: Chunk) -> tuple[Tensor, Recording]:
    """The saliency of some samples on their annotations' grid ``(b, ...)``, 0 where a text has no place, and the recorded
    forward pass."""
    with twice_differentiable(module):
        recording = call.run(module, chunk.tensors, attribution.layers)
    saliency = attribution.explain(recording, chunk.target).detach().float()
    if attribution.layer is not None and chunk.annotation.ndim == 4:
        saliency = upsample(saliency, tuple(chunk.annotation.shape[-2:]))
    if chunk.annotation.ndim == 2:
        annotation = recording.without_padding(chunk.annotation.to(saliency.device))
        if annotations.fits(annotation, saliency):
            saliency = saliency * annotations.places(annotations.align(annotation, saliency))
    return saliency, recording


@contextmanager
def undisturbed(trainer: pl.Trainer, module: nn.Module) -> Iterator[None]:
    """Eval mode, gradients enabled, the Trainer's precision; afterwards every module's mode and the RNG are as before.

    The mode is restored module by module: ``module.train()`` would thaw a BatchNorm that the user keeps in eval mode.
    """
    modes = {part: part.training for part in module.modules()}
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=cuda_devices(module)))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(trainer.precision_plugin.forward_context())
        module.eval()
        try:
            yield
        finally:
            for part, mode in modes.items():
                part.training = mode


def _ordinary(tensor: Tensor) -> Tensor:
    return tensor.clone() if tensor.is_inference() else tensor


def refuse_sharded(module: pl.LightningModule, callback: pl.Callback) -> None:
    """Raise a ``RuntimeError`` if FSDP2 shards the module: a pass that one process makes alone would wait for the others."""
    if sharded_parts(module):
        raise RuntimeError(
            f"{type(callback).__name__} runs the network on one process at a time, which parameters that FSDP2 shards do not "
            "allow. Leave it out of the training, and look at the trained model on one device."
        )
