"""Computes saliency during a training without affecting it."""

from collections.abc import Callable, Iterable, Iterator
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
from salreg.callbacks.reading import Reading
from salreg.callbacks.replay import Replay
from salreg.callbacks.targets import Target, find_target
from salreg.data import AnnotatedBatch, annotations_by_input, input_named
from salreg.differentiation import kept_whole, reshard, sharded_parts, twice_differentiable
from salreg.distributed import sum_over_ranks, world_size
from salreg.eval_mode import eval_mode
from salreg.interventions.inputs import annotated_input
from salreg.random_state import cuda_devices
from salreg.taps import Recording, map_leaves, rows_of, tensors_in


@dataclass
class Chunk:
    """Some samples of a batch.

    Attributes:
        sample: The batch, cut to the samples.
        annotation: ``(b, ...)``.
        target: ``(b,)``, where there is one.
        input: The name of the annotated input, where several are.
        looked_at: The samples that somebody looked at, booleans ``(b,)``; by default those that carry a mark.
        prepare: What the user's ``on_after_batch_transfer`` does to the batch.
        part: The key or position of the annotated loader's, where those of several come together.
        key: Where the true classes are, where the user says so.
        reading: What the training loss says of the batch.
    """

    sample: Any
    annotation: Tensor
    target: Tensor | None
    input: str | None = None
    looked_at: Tensor = None  # type: ignore[assignment]
    prepare: Callable[[Any], Any] | None = None
    part: Any = None
    key: Target = None
    reading: Reading | None = None

    def __post_init__(self) -> None:
        if self.looked_at is None:
            self.looked_at = is_annotated(self.annotation)

    @classmethod
    def whole(
        cls, batch: AnnotatedBatch, target: Target = None, input: str | None = None, reading: Reading | None = None
    ) -> "Chunk":
        """All samples of a batch.

        Args:
            batch: Where several inputs are annotated, the first counts, or that named.
            target: Where the true classes are, see ``find_target``.
            input: The annotated input.
            reading: What the training loss says of the batch.

        Raises:
            KeyError: No input of that name is annotated, or there is nothing at ``target``.
        """
        name, annotation = next(iter(annotations_by_input(batch.annotation, input).items()))
        looked_at = annotations_by_input(cast(Any, batch.looked_at), input)[name]
        # Tensors made in inference mode cannot carry a gradient; copies made outside of it can.
        sample = map_leaves(_ordinary, batch.as_given)
        found = find_target(sample, target, reading)
        return cls(sample, annotation, found, name, looked_at, batch.prepare, batch.part, target, reading)

    def changed(self, sample: Any, annotation: Tensor) -> "Chunk":
        """The samples after an intervention, whose labels of tokens have moved with these."""
        moved = self.target
        if self.reading is not None and self.reading.layout is not None:
            moved = find_target(sample, self.key, self.reading)
        return replace(self, sample=sample, annotation=annotation, target=moved)

    def __len__(self) -> int:
        return len(self.annotation)

    def __getitem__(self, chosen: slice | list[int]) -> "Chunk":
        return replace(
            self,
            sample=rows_of(self.sample, chosen, len(self)),
            annotation=self.annotation[chosen],
            target=None if self.target is None else self.target[chosen],
            looked_at=self.looked_at[chosen],
        )

    @property
    def marked_labels(self) -> Tensor | None:
        """The labels of places ``(b, P)`` whose token is marked as spurious; None where they are not of the text's tokens."""
        reading = self.reading
        if reading is None or reading.link != "tokens" or self.target is None or reading.target_index is None:
            return None
        given = tensors_in(self.sample)[reading.target_index]
        if given.shape != self.annotation.shape or self.given.is_floating_point():
            return None
        return reading.labels((self.annotation < 0).long()) > 0

    @property
    def flat_annotation(self) -> Tensor:
        """The annotation as maps are laid out: the choices of a sample ``(b, choices, T)`` are one text."""
        return self.annotation.flatten(1) if self._has_choices else self.annotation

    @property
    def flat_given(self) -> Tensor:
        """The annotated input likewise."""
        return self.given.flatten(1) if self._has_choices else self.given

    @property
    def _has_choices(self) -> bool:
        return self.annotation.ndim == 3 and self.annotation.shape == self.given.shape and not self.given.is_floating_point()

    @property
    def given(self) -> Tensor:
        """The annotated input, as it lies in the batch.

        Raises:
            RuntimeError: The batch holds no tensor.
        """
        if self.input is not None:
            return cast(Tensor, input_named(self.sample, self.input))
        try:
            return annotated_input(self.sample if self.part is None else self.sample[self.part], self.annotation).tensor
        except ValueError as error:
            tensors = [tensor for tensor in tensors_in(self.sample) if tensor.ndim]
            if not tensors:
                raise RuntimeError(str(error)) from error
            return next((tensor for tensor in tensors if tensor.is_floating_point()), tensors[0])

    def to(self, device: torch.device) -> "Chunk":
        def moved(leaf: Any) -> Any:
            return leaf.to(device) if isinstance(leaf, Tensor) else leaf

        target = None if self.target is None else self.target.to(device)
        annotation, looked_at = self.annotation.to(device), self.looked_at.to(device)
        sample = map_leaves(moved, self.sample)
        return replace(self, sample=sample, annotation=annotation, target=target, looked_at=looked_at)

    def pieces(self, size: int) -> Iterator["Chunk"]:
        """Pieces of at most so many samples, about as large as one another."""
        count = max(1, -(-len(self) // size))
        step = max(1, -(-len(self) // count))
        for start in range(0, len(self), step):
            yield self[start : start + step]


def run(replay: Replay, chunk: Chunk, layers: Any = (), replaced: Tensor | None = None) -> Recording:
    """The module's step on some samples, as far as to its logits; see ``Replay.run``.

    Raises:
        RuntimeError: The logits are not those of the samples, one by one.
    """
    recording = replay.run(chunk.sample, chunk.given, layers, replaced, chunk.prepare)
    if len(recording.require_logits()) != len(chunk):
        raise RuntimeError(
            f"{replay.name} returns {len(recording.require_logits())} rows of logits for {len(chunk)} samples, as with several "
            "views of each in one batch: let the validation step call the network on the original samples."
        )
    return recording


def explain(replay: Replay, attribution: Attribution, chunk: Chunk) -> tuple[Tensor, Recording]:
    """The saliency of some samples on their annotations' grid ``(b, ...)``, 0 where a text has no place, and the recorded
    forward pass."""
    with kept_whole(replay.module):
        with twice_differentiable(replay.module):
            recording = run(replay, chunk, attribution.layers)
        saliency = attribution.explain(recording, chunk.target).detach().float()
    if attribution.layer is not None and chunk.annotation.ndim == 4:
        saliency = upsample(saliency, tuple(chunk.annotation.shape[-2:]))
    if chunk.annotation.ndim == 2 or saliency.ndim == 3:
        annotation = recording.without_padding(chunk.annotation.to(saliency.device))
        if annotations.fits(annotation, saliency):
            saliency = saliency * annotations.places(annotations.align(annotation, saliency))
    return saliency, recording


@contextmanager
def undisturbed(trainer: pl.Trainer, module: nn.Module) -> Iterator[None]:
    """Eval mode, gradients enabled, the Trainer's precision; afterwards every module's mode and the RNG are as before."""
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=cuda_devices(module)))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(trainer.precision_plugin.forward_context())
        stack.enter_context(eval_mode(module))
        stack.callback(reshard, module)  # or the next forward pass would not see the next optimizer step
        yield


def _ordinary(leaf: Any) -> Any:
    return leaf.clone() if isinstance(leaf, Tensor) and leaf.is_inference() else leaf


def in_step(pieces: Iterable[Chunk], spare: Chunk, module: nn.Module, size: int) -> Iterator[tuple[Chunk, bool]]:
    """Pieces to run the network on, and whether they count. Where FSDP2 shards it, all processes make as many passes as the one
    that has the most, with ``spare`` samples for those that have fewer: parameters are gathered from all for each."""
    own = list(pieces)
    most = len(own)
    if sharded_parts(module) and world_size() > 1:
        counts = torch.zeros(world_size(), device=spare.annotation.device)
        counts[torch.distributed.get_rank()] = len(own)
        most = int(sum_over_ranks(counts).max())
    yield from ((piece, True) for piece in own)
    yield from ((spare[:size], False) for _ in range(most - len(own)))
