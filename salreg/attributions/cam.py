"""Class activation maps: saliency on the grid of a convolutional layer."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from salreg.attributions.base import Attribution
from salreg.scores import Score
from salreg.taps import Layer


class GradCAM(Attribution):
    r"""Gradient-weighted class activation map (Selvaraju et al. 2017, eqs. 1-2), with its ReLU.

    .. math:: M = \mathrm{ReLU}\Big(\sum_c \alpha_c A_c\Big), \qquad
              \alpha_c = \tfrac{1}{hw} \sum_{u,v} \partial s / \partial A_{c,u,v}

    Inside a penalty both A and alpha are differentiated, so that the classifier behind the layer learns too.

    Args:
        layer: The layer whose output ``(B, C, h, w)`` is A, by name or as a module. Where it runs several times in one
            forward pass, its last output counts.
        score: What is explained.

    Returns when called:
        ``(B, 1, h, w)``, non-negative, in score units; ``(B, 1, H, W)`` with ``upsample_to=(H, W)``, bilinear.

    Raises:
        ValueError: The layer does not exist (the nearest names are suggested) or its output is not ``(B, C, h, w)``.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))
        >>> cam = GradCAM(layer="0")
        >>> cam(net, torch.randn(4, 1, 8, 8), torch.zeros(4), upsample_to=(8, 8)).shape
        torch.Size([4, 1, 8, 8])
    """

    def __init__(self, layer: Layer, score: str | Score = "target_logit") -> None:
        super().__init__(score, layer)

    def saliency(self, activation: Tensor, gradient: Tensor) -> Tensor:
        if activation.ndim != 4:
            raise ValueError(
                f"The layer {self.layer!r} returns {tuple(activation.shape)}; GradCAM needs a convolutional layer with "
                "an output of shape (B, C, h, w)."
            )
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        return relu((weights * activation).sum(dim=1, keepdim=True))

    def __call__(
        self,
        model: nn.Module,
        inputs: object,
        target: Tensor | None = None,
        *,
        upsample_to: tuple[int, int] | torch.Size | None = None,
    ) -> Tensor:
        saliency = super().__call__(model, inputs, target)
        return saliency if upsample_to is None else upsample(saliency, tuple(upsample_to))


def upsample(saliency: Tensor, size: tuple[int, ...]) -> Tensor:
    """Bilinear interpolation of maps ``(B, 1, h, w)`` to ``(B, 1, H, W)``."""
    return interpolate(saliency, size=size, mode="bilinear", align_corners=False)
