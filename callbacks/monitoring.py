"""Computing saliency beside a training without leaving a trace in it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from salreg import annotations
from salreg.attributions import Attribution
from salreg.attributions.cam import upsample
from salreg.callbacks.forward_call import ForwardCall
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
    """

    tensors: list[Tensor]
    annotation: Tensor
    target: Tensor | None
    input_index: int | None = None

    def __getitem__(self, chosen: slice | list[int]) -> "Chunk":
        size = len(self.annotation)
        tensors = [t[chosen] if t.ndim and len(t) == size else t for t in self.tensors]
        target = None if self.target is None else self.target[chosen]
        return Chunk(tensors, self.annotation[chosen], target, self.input_index)


def one_input(batch: AnnotatedBatch, name: str | None) -> tuple[Tensor, int | None]:
    """One input's annotation, and its index among the batch's tensors where several are annotated: the first, or that named.

    Raises:
        KeyError: No input of that name is annotated.
    """
    chosen, annotation = next(iter(annotations_by_input(batch.annotation, name).items()))
    if chosen is None:
        return annotation, None
    given = input_named(batch.sample, chosen)
    return annotation, next(index for index, tensor in enumerate(tensors_in(batch.sample)) if tensor is given)


def chunks(sample: Any, annotation: Tensor, target: Tensor | None, size: int) -> Iterator[Chunk]:
    """Cut a batch into pieces of at most ``size`` samples, none of them of a single sample if it can be helped."""
    # Tensors made in inference mode cannot carry a gradient; copies made outside of it can.
    whole = Chunk([_ordinary(t) for t in tensors_in(sample)], annotation, target if target is None else _ordinary(target))
    pieces = max(1, -(-len(annotation) // size))
    step = -(-len(annotation) // pieces)
    for start in range(0, len(annotation), max(step, 1)):
        yield whole[start : start + step]


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
