"""Attributions that change a part of the input and observe the score, without a gradient at the input."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from salreg import checks, scores
from salreg.attributions.base import Attribution
from salreg.attributions.passes import in_passes, scores_at
from salreg.attributions.path import broadcast
from salreg.scores import Score
from salreg.taps import Recording


class _Perturbation(Attribution):
    """The score of the input minus its scores with parts replaced by a fill."""

    family = "perturbation"
    uses_gradients = False

    def __init__(self, score: str | Score, fill: float | Tensor) -> None:
        checks.fill(fill=fill)
        super().__init__(score)
        self.fill = fill

    def _drops(self, recording: Recording, parts: Tensor, target: Tensor | None, create_graph: bool) -> tuple[Tensor, Tensor]:
        """``s(x) - s(x with part k filled)`` as ``(k, B)``, and the recorded input.

        ``parts`` are masks ``(k, ...)`` that broadcast to one sample.
        """
        inputs = recording.floating_input()
        fill = broadcast(self.fill, inputs)
        with nullcontext() if create_graph else torch.no_grad():
            before = scores.evaluate(self.score, recording.require_logits(), target, recording.link)
            after = [
                scores_at(recording, torch.where(some, fill, inputs), self.score, target)
                for some in split(parts.unsqueeze(1).to(inputs.device), inputs)
            ]
            return before - torch.cat(after), inputs


class Occlusion(_Perturbation):
    """How much the score drops when a sliding window hides a part of the input (Zeiler & Fergus 2014).

    Each place gets the mean drop of the windows that cover it. It costs one forward pass per window, with several windows at a
    time; inside a penalty, a first-order backward pass is enough.

    Args:
        window: Height and width of the window (one number for both), or its length for tables and texts.
        stride: How far the window moves; by default its size. The last window is moved back to end at the border.
        fill: The content of the window: a number, or a tensor that broadcasts to the input.
        score: The score to explain.

    Returns when called:
        ``(B, 1, H, W)`` for images ``(B, C, H, W)``, ``(B, F)`` for tables; of any sign, in score units.

    Raises:
        ValueError: The window is larger than the input, or a number is below 1.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2, bias=False))
        >>> x, y = torch.rand(1, 1, 4, 4), torch.tensor([0])
        >>> map = Occlusion(window=1)(model, x, y)
        >>> torch.allclose(map.flatten(), x.flatten() * model[1].weight[0], atol=1e-6)
        True
    """

    def __init__(
        self,
        window: int | tuple[int, ...] = 4,
        stride: int | tuple[int, ...] | None = None,
        fill: float | Tensor = 0.0,
        score: str | Score = "target_logit",
    ) -> None:
        for size in window if isinstance(window, tuple) else (window,):
            checks.whole(1, window=size)
        for step in stride if isinstance(stride, tuple) else (stride,):
            checks.whole(1, or_none=not isinstance(stride, tuple), stride=step)
        super().__init__(score, fill)
        self.window = window
        self.stride = window if stride is None else stride

    def explain(
        self, recording: Recording, target: Tensor | None = None, *, create_graph: bool = False, scale: Any = None
    ) -> Tensor:
        inputs = recording.floating_input()
        space = tuple(inputs.shape[2:]) if inputs.ndim > 2 else tuple(inputs.shape[1:])
        windows = sliding_windows(space, self.window, self.stride)
        if inputs.ndim > 2:
            windows = windows.unsqueeze(1)
        drops, _ = self._drops(recording, windows, target, create_graph)
        return distribute(drops, windows)


class FeatureAblation(_Perturbation):
    """How much the score drops when a group of features is replaced; each feature gets the drop of its group.

    Args:
        groups: The group of each feature, integers, laid out like one sample or broadcasting to it: ``(F,)``, ``(H, W)``. By
            default each feature of a table is its own group.
        fill: The value that replaces them: a number, or a tensor that broadcasts to the input.
        score: The score to explain.

    Returns when called:
        A tensor in the input's shape, of any sign, in score units.

    Raises:
        ValueError: The groups do not broadcast to a sample, or there are none and the inputs are not a table.

    Example:
        >>> model = torch.nn.Linear(3, 2, bias=False)
        >>> x, y = torch.rand(1, 3), torch.tensor([0])
        >>> torch.allclose(FeatureAblation()(model, x, y), x * model.weight[0], atol=1e-6)
        True
    """

    def __init__(self, groups: Tensor | None = None, fill: float | Tensor = 0.0, score: str | Score = "target_logit") -> None:
        checks.tensor(groups=groups)
        super().__init__(score, fill)
        self.groups = groups

    def explain(
        self, recording: Recording, target: Tensor | None = None, *, create_graph: bool = False, scale: Any = None
    ) -> Tensor:
        parts = feature_groups(recording.floating_input()[0], self.groups)
        drops, _ = self._drops(recording, parts, target, create_graph)
        return distribute(drops, parts)


def sliding_windows(space: tuple[int, ...], window: int | tuple[int, ...], stride: int | tuple[int, ...]) -> Tensor:
    """Boolean masks ``(k, *space)``, one per position of the window.

    Example:
        >>> sliding_windows((5,), 2, 2).int().tolist()
        [[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 1]]
    """
    sizes, strides = (tuple(n) if isinstance(n, tuple) else (n,) * len(space) for n in (window, stride))
    if len(sizes) != len(space) or len(strides) != len(space) or min(*sizes, *strides) < 1:
        raise ValueError(f"window {window} and stride {stride} need a number of at least 1 for each side of {space}.")
    if any(size > side for size, side in zip(sizes, space, strict=True)):
        raise ValueError(f"A window of {sizes} is larger than the input's {space}.")
    masks = torch.ones(1, *[1] * len(space), dtype=torch.bool)
    for axis, (side, size, step) in enumerate(zip(space, sizes, strides, strict=True)):
        starts = torch.tensor([*range(0, side - size, step), side - size]).unique()
        places = torch.arange(side)
        along = (places >= starts[:, None]) & (places < starts[:, None] + size)
        shape = [1] * len(space)
        shape[axis] = side
        masks = (masks.unsqueeze(1) & along.view(1, len(starts), *shape)).flatten(0, 1)
    return masks


def feature_groups(sample: Tensor, groups: Tensor | None) -> Tensor:
    """Boolean masks ``(k, ...)`` over one sample, one per group; by default each feature of a table is its own.

    Raises:
        ValueError: The groups do not broadcast to the sample, or there are none and the sample is not a table row.
    """
    if groups is None and sample.ndim != 1:
        raise ValueError(f"Samples of shape {tuple(sample.shape)} need groups of features: groups=....")
    groups = torch.arange(len(sample)) if groups is None else groups
    try:
        groups = groups.broadcast_to(sample.shape)
    except RuntimeError as error:
        raise ValueError(
            f"Groups of shape {tuple(groups.shape)} do not broadcast to a sample of shape {tuple(sample.shape)}."
        ) from error
    return torch.stack([groups == group for group in groups.unique()])


def split(parts: Tensor, inputs: Tensor) -> Iterator[Tensor]:
    """Cut masks ``(k, 1, ...)`` so that each piece, applied to the whole batch, fits into one pass."""
    size = len(next(in_passes(inputs.expand(len(parts), *inputs.shape))))
    yield from parts.split(size)


def distribute(drops: Tensor, parts: Tensor) -> Tensor:
    """Give each place the mean drop of the parts that cover it: ``(k, B)`` and ``(k, ...)`` to ``(B, ...)``."""
    weight = parts.to(drops)
    covered = weight.sum(0).clamp(min=1)
    return torch.einsum("kb,k...->b...", drops, weight) / covered
