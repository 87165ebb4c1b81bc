"""Probes: attributions that are not regularised, measured to see whether a change is real.

Regularising one explainer does not reliably fix the others, or the behaviour.
"""

from collections.abc import Sequence

import pytorch_lightning as pl
from torch import Tensor, nn

from salreg.attributions import Attribution, GradCAM, InputTimesGradient, IntegratedGradients, Occlusion

_WINDOWS_PER_SIDE = 7


def default_probes(
    module: pl.LightningModule, inputs: Tensor, watched: Sequence[Attribution], count: int = 2
) -> list[Attribution]:
    """Attributions of other families than the watched ones, cheap enough to repeat in every epoch.

    Args:
        module: What is explained.
        inputs: Some of its inputs ``(B, ...)``; ``(B, E, T)`` of a text.
        watched: The attributions that are drawn or regularised.
        count: How many.

    Returns:
        At most ``count``, of a family each.
    """
    taken, chosen = {attribution.family for attribution in watched}, []
    for probe in _candidates(module, inputs):
        if probe.family not in taken:
            taken.add(probe.family)
            chosen.append(probe)
    return chosen[:count]


def _candidates(module: pl.LightningModule, inputs: Tensor) -> list[Attribution]:
    window = tuple(max(1, side // _WINDOWS_PER_SIDE) for side in (inputs.shape[2:] if inputs.ndim > 2 else inputs.shape[1:]))
    convolutional = inputs.ndim == 4 and any(isinstance(part, nn.Conv2d) for part in module.modules())
    return [
        *([GradCAM()] if convolutional else []),
        Occlusion(window),
        IntegratedGradients(steps=8),
        InputTimesGradient(),
    ]
