"""Penalties inside the network: on activations, or on the gradient along a direction there."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from salreg import annotations, scores
from salreg.attributions.base import gradient_at
from salreg.distributed import sum_over_ranks
from salreg.interventions.replacements import replace
from salreg.losses.base import PerSample, misplaced
from salreg.penalties.base import Evaluated, Penalty
from salreg.rng import Rng
from salreg.scores import Score
from salreg.taps import LAST_CONV, Layer, Recording


class ActivationDifference(Penalty):
    r"""ActDiff (Viviano et al. 2021): activations should not change when the background is shuffled.

    .. math:: L_i = \sum_l \lVert a_l(x_i) - a_l(\tilde x_i) \rVert_2 / \sqrt{n_l}

    In x-tilde the places of the region that should not matter are shuffled within the sample: everything outside the relevant
    marks of a sample that has any, otherwise the spurious marks. It costs one more forward pass and its first-order backward
    pass.

    It departs from the published code in dividing by the square root of the layer's size n, so that layers of all sizes count
    alike, and in multiplying by the weight (there it only switches the loss on).

    Args:
        layers: Layers by name or as modules; by default the last convolution.
        seed: The seed of the shuffling; each step goes on drawing from the same sequence.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
        >>> with ActivationDifference("1").watch(model) as watch:
        ...     logits = model(torch.randn(3, 4))
        >>> watch.penalty(None, torch.tensor([[-1, -1, 0, 0]] * 3)).backward()
    """

    def __init__(self, layers: Layer | Sequence[Layer] = LAST_CONV, *, seed: int = 0) -> None:
        super().__init__()
        self._layers = [layers] if isinstance(layers, str | nn.Module) else list(layers)
        if not self._layers:
            raise ValueError("ActDiff needs at least one layer.")
        self.rng = Rng(seed)

    @property
    def layers(self) -> list[Layer]:
        return self._layers

    def evaluate(self, recording: Recording, target: Tensor | None, annotation: Tensor) -> Evaluated:
        inputs = recording.activation(None).detach()
        annotation = annotations.align(annotation, inputs)
        again = recording.repeat(replace(inputs, misplaced(annotation), "shuffle", self.rng))
        value = torch.stack([_distance(recording.activation(one), again.activation(one)) for one in self._layers]).sum(0)
        annotated = annotations.is_annotated(annotation)
        return Evaluated(PerSample(value, annotated, torch.zeros_like(annotated)), None, annotation)

    def state_dict(self) -> dict[str, Any]:
        return {"rng": self.rng.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rng.load_state_dict(state["rng"])


class ConceptPenalty(Penalty):
    r"""RR-ClArC (Dreyer et al. 2023): the score should not change along a concept's direction inside the network.

    .. math:: L_i = \tfrac{1}{hw} \sum_{u,v} \big(\nabla_{a_{uv}} s_i \cdot v\big)^2

    v is the concept's direction among the layer's channels. A given direction is scaled to length 1. If none is given, it is
    estimated during training: the running mean, over the annotated samples, of a(x) - a(x-tilde) summed over the places, where
    x-tilde has another sample's content in its spurious region (one more forward pass). The penalty then is the mean squared
    change of the score that the concept causes at a place of the layer, whatever the network's scale. This departs from the
    paper, which fits a direction of length 1 before training, to samples with and without the artifact; no such second set is
    needed here.

    Args:
        layer: Where the concept is read, by name or as a module: ``(B, C, h, w)``, or ``(B, C)``; by default the last
            convolution.
        direction: v ``(C,)``, any length; by default estimated.
        score: What is explained.
        seed: The seed for choosing the partners in the estimate.

    Raises:
        ValueError: The direction has a different number of channels from the layer.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
        >>> penalty = ConceptPenalty("0", direction=torch.tensor([1.0, 0.0, 0.0]))
        >>> with penalty.watch(model) as watch:
        ...     logits = model(torch.randn(3, 4))
        >>> watch.penalty(torch.tensor([0, 1, 0]), torch.tensor([[-1, 0, 0, 0]] * 3)).backward()
    """

    needed_marks = "spurious"

    def __init__(
        self,
        layer: Layer = LAST_CONV,
        direction: Tensor | Sequence[float] | None = None,
        score: str | Score = "target_logit",
        *,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.direction = None if direction is None else torch.as_tensor(direction, dtype=torch.float32)
        self.score = scores.resolve(score)
        self.rng = Rng(seed)
        self._sum: Tensor | None = None
        self._count = 0.0

    @property
    def layers(self) -> list[Layer]:
        return [self.layer]

    def evaluate(self, recording: Recording, target: Tensor | None, annotation: Tensor) -> Evaluated:
        spurious = annotations.marks(annotation).spurious
        annotated = annotations.is_annotated(spurious)
        gradient = gradient_at(recording, self.layer, self.score, target, create_graph=True)
        step = self._step(recording, spurious, annotated).to(gradient)
        if len(step) != gradient.shape[1]:
            raise ValueError(f"The direction has {len(step)} channels, but the layer {self.layer!r} has {gradient.shape[1]}.")
        value = torch.einsum("bc...,c->b...", gradient, step).view(len(gradient), -1).square().mean(1)
        return Evaluated(PerSample(value, annotated, torch.zeros_like(annotated)), None, annotation)

    def state_dict(self) -> dict[str, Any]:
        return {"rng": self.rng.state_dict(), "sum": self._sum, "count": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rng.load_state_dict(state["rng"])
        self._sum, self._count = state["sum"], state["count"]

    def _step(self, recording: Recording, spurious: Tensor, annotated: Tensor) -> Tensor:
        """The change that the concept causes in the layer's channels, ``(C,)``."""
        if self.direction is not None:
            return self.direction / self.direction.norm()
        inputs = recording.activation(None).detach()
        again = recording.repeat(replace(inputs, annotations.align(spurious, inputs), "swap", self.rng))
        change = (recording.activation(self.layer) - again.activation(self.layer)).detach()
        total = sum_over_ranks(_per_channel(change[annotated]))
        self._sum = total if self._sum is None else self._sum.to(total) + total
        self._count += float(sum_over_ranks(annotated.sum()))
        return self._sum / max(self._count, 1)


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """The Euclidean distance of each sample's activations, per unit; with a derivative of 0 where they are equal."""
    squares = (one - other).flatten(1).square().mean(1)
    equal = squares == 0
    return squares.where(~equal, torch.ones_like(squares)).sqrt().where(~equal, torch.zeros_like(squares))


def _per_channel(change: Tensor) -> Tensor:
    """The sum over samples and places: ``(C,)``."""
    return (change.flatten(2).sum(2) if change.ndim > 2 else change).sum(0)
