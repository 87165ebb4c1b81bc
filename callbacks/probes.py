"""Probes: attributions that are not regularised, measured to see whether a change is real.

Regularising one explainer does not reliably fix the others, or the behaviour.
"""

from collections.abc import Sequence

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from salreg.attributions import (
    Attribution,
    FeatureAblation,
    GradCAM,
    InputTimesGradient,
    IntegratedGradients,
    Occlusion,
)

_PARTS_PER_SIDE = 7


def default_probes(
    module: pl.LightningModule, inputs: Tensor, annotation: Tensor, watched: Sequence[Attribution], count: int = 2
) -> list[Attribution]:
    """Attributions of other families than the watched ones, cheap enough to repeat in every epoch.

    Args:
        module: What is explained.
        inputs: Some of its inputs ``(B, ...)``; ``(B, E, T)`` of a text.
        annotation: Their annotations.
        watched: The attributions that are drawn or regularised.
        count: How many.

    Returns:
        At most ``count``, of a family each.
    """
    taken, chosen = {attribution.family for attribution in watched}, []
    for probe in _candidates(module, inputs, annotation):
        if probe.family not in taken:
            taken.add(probe.family)
            chosen.append(probe)
    return chosen[:count]


def _candidates(module: pl.LightningModule, inputs: Tensor, annotation: Tensor) -> list[Attribution]:
    convolutional = inputs.ndim == 4 and any(isinstance(part, nn.Conv2d) for part in module.modules())
    by_element = annotation.ndim == 3 and annotation.shape[1] > 1
    space = inputs.shape[2:] if inputs.ndim > 2 else inputs.shape[1:]
    window = tuple(max(1, side // _PARTS_PER_SIDE) for side in space)
    return [
        *([GradCAM()] if convolutional else []),
        FeatureAblation(_blocks(inputs.shape[1:])) if by_element else Occlusion(window),
        IntegratedGradients(steps=8),
        InputTimesGradient(),
    ]


def _blocks(shape: Sequence[int]) -> Tensor:
    """The block of each place, of as many along each axis as there are parts, or places: a map that has all channels."""
    blocks = torch.zeros(1, dtype=torch.long)
    for side in shape:
        parts = min(side, _PARTS_PER_SIDE)
        blocks = blocks.unsqueeze(-1) * parts + torch.arange(side) * parts // side
    return blocks.squeeze(0)
