"""Class activation maps: saliency on the grid of a layer, from its activations A and the score's gradient g there."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from salreg import checks
from salreg.attributions.base import Attribution, gradient_at
from salreg.attributions.feature_map import Channels, as_feature_map
from salreg.scores import Score
from salreg.taps import LAST_CONV, Layer, Recording


class ClassActivationMap(Attribution):
    """The base of all class activation maps.

    Args:
        layer: The layer whose output is A, by name or as a module: a convolution's ``(B, C, h, w)``, or a transformer's tokens
            ``(B, T, D)``, read as a patch grid. If it runs several times in one forward pass, its last output counts. Several
            layers give the mean of their maps, on the finest of their grids. The default is the model's last convolution.
        score: The score to explain.
        grid: ``(h, w)`` of a transformer's patches. By default a square, with a class token in front if the remaining tokens
            form one.
        channels: Where the channels are in a layer's output with four axes: ``"first"`` ``(B, C, h, w)`` or ``"last"`` ``(B, h,
            w, C)``, as in Swin. By default the axis whose length matches the layer's parameters.
        positive: Apply the method's final ReLU. Without it the map is signed, and a penalty on it cannot be evaded by a map
            that is zero everywhere.

    Returns when called:
        ``(B, 1, h, w)``, non-negative unless ``positive=False``, in score units; ``(B, 1, H, W)`` with ``upsample_to=(H,
        W)``, bilinear.

    Raises:
        ValueError: The layer does not exist (the message suggests the nearest names), its output is not a feature map, or its
            channel axis cannot be identified.
    """

    family = "cam"

    def __init__(
        self,
        layer: Layer | Sequence[Layer] = LAST_CONV,
        score: str | Score = "target_logit",
        *,
        grid: tuple[int, int] | None = None,
        positive: bool = True,
        channels: Channels | None = None,
    ) -> None:
        checks.pair(grid=grid)
        if channels is not None:
            checks.choice(("first", "last"), channels=channels)
        checks.flag(positive=positive)
        if not isinstance(layer, Sequence):
            checks.layer(layer=layer)
        several = [layer] if isinstance(layer, str | nn.Module) else list(layer)
        for one in several:
            checks.layer(layer=one)
        if not several:
            raise ValueError("A class activation map needs at least one layer.")
        super().__init__(score, several[0])
        self._layers = several
        self.grid = grid
        self.positive = positive
        self.channels = channels

    @property
    def layers(self) -> list[Layer]:
        return self._layers

    @abstractmethod
    def combine(self, activation: Tensor, gradient: Tensor) -> Tensor:
        """The map ``(B, 1, h, w)`` before its ReLU, from A and g, both ``(B, C, h, w)``."""

    def explain(
        self, recording: Recording, target: Tensor | None = None, *, create_graph: bool = False, scale: Any = None
    ) -> Tensor:
        maps = []
        for layer in self._layers:
            gradient = gradient_at(recording, layer, self.score, target, create_graph)
            both = (recording.activation(layer), gradient)
            maps.append(self.combine(*(as_feature_map(one, layer, recording.model, self.grid, self.channels) for one in both)))
        if self.positive:
            maps = [relu(saliency) for saliency in maps]
        finest = max((saliency.shape[-2:] for saliency in maps), key=lambda size: size[0] * size[1])
        fitted = [m if m.shape[-2:] == finest else upsample(m, tuple(finest)) for m in maps]
        return maps[0] if len(maps) == 1 else torch.stack(fitted).mean(0)

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


class GradCAM(ClassActivationMap):
    r"""Gradient-weighted class activation map (Selvaraju et al. 2017, eqs. 1-2), with its ReLU.

    .. math:: M = \mathrm{ReLU}\Big(\sum_c \alpha_c A_c\Big), \qquad
              \alpha_c = \tfrac{1}{hw} \sum_{u,v} g_{c,u,v}

    Inside a penalty both A and alpha are differentiated, so that the classifier after the layer learns too. Arguments and
    shapes are as for ``ClassActivationMap``.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))
        >>> cam = GradCAM(layer="0")
        >>> cam(net, torch.randn(4, 1, 8, 8), torch.zeros(4), upsample_to=(8, 8)).shape
        torch.Size([4, 1, 8, 8])
    """

    def combine(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return _weighted(gradient.mean((2, 3), keepdim=True), activation)


class GradCAMPlusPlus(ClassActivationMap):
    r"""Grad-CAM++ (Chattopadhay et al. 2018, eq. 19).

    .. math:: M = \mathrm{ReLU}\Big(\sum_c w_c A_c\Big), \quad w_c = \sum_{u,v} a_{c,u,v} \mathrm{ReLU}(g_{c,u,v}), \quad
              a = \frac{g^2}{2 g^2 + \big(\sum_{u,v} A_c\big) g^3}

    with a = 0 where its denominator is 0. Arguments and shapes are as for ``ClassActivationMap``.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 3))
        >>> GradCAMPlusPlus("0")(net, torch.randn(4, 1, 8, 8), torch.zeros(4)).shape
        torch.Size([4, 1, 6, 6])
    """

    def combine(self, activation: Tensor, gradient: Tensor) -> Tensor:
        denominator = 2 * gradient.square() + activation.sum((2, 3), keepdim=True) * gradient.pow(3)
        defined = denominator != 0
        share = gradient.square() / denominator.where(defined, torch.ones_like(denominator))
        share = share.where(defined, torch.zeros_like(share))
        return _weighted((share * relu(gradient)).sum((2, 3), keepdim=True), activation)


class HiResCAM(ClassActivationMap):
    r"""HiResCAM (Draelos & Carin 2020): the elementwise product, without averaging the gradient.

    .. math:: M = \mathrm{ReLU}\Big(\sum_c g_c A_c\Big)

    Arguments and shapes are as for ``ClassActivationMap``.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 3))
        >>> HiResCAM("0")(net, torch.randn(4, 1, 8, 8), torch.zeros(4)).shape
        torch.Size([4, 1, 6, 6])
    """

    def combine(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return _weighted(gradient, activation)


class LayerCAM(ClassActivationMap):
    r"""LayerCAM (Jiang et al. 2021): positive gradients weight their own place.

    .. math:: M = \mathrm{ReLU}\Big(\sum_c \mathrm{ReLU}(g_c) A_c\Big)

    Arguments and shapes are as for ``ClassActivationMap``.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 3))
        >>> LayerCAM("0")(net, torch.randn(4, 1, 8, 8), torch.zeros(4)).shape
        torch.Size([4, 1, 6, 6])
    """

    def combine(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return _weighted(relu(gradient), activation)


class XGradCAM(ClassActivationMap):
    r"""XGrad-CAM (Fu et al. 2020): gradients averaged with the activations as weights.

    .. math:: M = \mathrm{ReLU}\Big(\sum_c w_c A_c\Big), \qquad
              w_c = \frac{\sum_{u,v} g_{c,u,v} A_{c,u,v}}{\sum_{u,v} A_{c,u,v}}

    with w = 0 where a channel sums to 0. Arguments and shapes are as for ``ClassActivationMap``.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))
        >>> XGradCAM("1")(net, torch.randn(4, 1, 8, 8), torch.zeros(4)).shape
        torch.Size([4, 1, 6, 6])
    """

    def combine(self, activation: Tensor, gradient: Tensor) -> Tensor:
        total = activation.sum((2, 3), keepdim=True)
        weights = (gradient * activation).sum((2, 3), keepdim=True) / total.where(total != 0, torch.ones_like(total))
        return _weighted(weights.where(total != 0, torch.zeros_like(weights)), activation)


def upsample(saliency: Tensor, size: tuple[int, ...]) -> Tensor:
    """Bilinear interpolation of maps ``(B, 1, h, w)`` to ``(B, 1, H, W)``."""
    return interpolate(saliency, size=size, mode="bilinear", align_corners=False)


def _weighted(weights: Tensor, activation: Tensor) -> Tensor:
    return (weights * activation).sum(1, keepdim=True)
