"""Small networks for images."""

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn.functional import relu

from salreg.recipes.networks import backbones

# Group instead of batch normalisation: saliency then depends on one sample only, and small data needs no running statistics.
_GROUPS = 4
_CONVOLUTIONS: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}


class ResidualBlock(nn.Module):
    """Two convolutions over two or three axes with a skip connection; ``stride`` 2 halves the grid."""

    def __init__(self, channels: int, out: int, stride: int, axes: int = 2) -> None:
        super().__init__()
        conv = _CONVOLUTIONS[axes]
        self.conv1, self.norm1 = conv(channels, out, 3, stride, 1, bias=False), nn.GroupNorm(_GROUPS, out)
        self.conv2, self.norm2 = conv(out, out, 3, 1, 1, bias=False), nn.GroupNorm(_GROUPS, out)
        self.shortcut = nn.Sequential(conv(channels, out, 1, stride, bias=False), nn.GroupNorm(_GROUPS, out))

    def forward(self, x: Tensor) -> Tensor:
        inner = relu(self.norm1(self.conv1(x)))
        return relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


def small_resnet(classes: int, width: int = 16, stages: int = 4, axes: int = 2) -> nn.Sequential:
    """A residual network of ``stages`` blocks, each with half the grid and twice the channels of the block before.

    It takes images of three channels or, with three ``axes``, volumes of one.
    """
    blocks = [ResidualBlock(width * 2 ** max(i - 1, 0), width * 2**i, 2, axes) for i in range(stages)]
    stem = _CONVOLUTIONS[axes](3 if axes == 2 else 1, width, 3, 1, 1, bias=False), nn.GroupNorm(_GROUPS, width), nn.ReLU()
    pool = nn.AdaptiveAvgPool2d(1) if axes == 2 else nn.AdaptiveAvgPool3d(1)
    return nn.Sequential(nn.Sequential(*stem), *blocks, pool, nn.Flatten(), nn.Linear(width * 2 ** (stages - 1), classes))


class SmallViT(nn.Module):
    """A transformer over square patches, with learned positions, averaged over the patches.

    Args:
        classes: The number of classes.
        side: The side of the image, in pixels.
        patch: The side of a patch, in pixels; it divides the image's side.
        size: The size of a patch's embedding.
        layers: The number of layers.
        channels: The number of channels of the image.
    """

    def __init__(self, classes: int, side: int, patch: int = 4, size: int = 64, layers: int = 3, channels: int = 3) -> None:
        super().__init__()
        self.patches = nn.Conv2d(channels, size, patch, patch)
        self.positions = nn.Parameter(0.02 * torch.randn((side // patch) ** 2, size))
        layer = nn.TransformerEncoderLayer(size, 4, 2 * size, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(size)
        self.head = nn.Linear(size, classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.norm(self.encoder(tokens)).mean(1))


def build(model: DictConfig, classes: int, side: int, axes: int = 2) -> nn.Module:
    """Build the network that a configuration's ``model`` describes, for images of ``side`` x ``side`` pixels.

    Args:
        model: ``name``: ``resnet``, ``vit``, or ``timm/NAME`` and ``transformers/NAME`` (``networks.backbones``);
            ``pretrained``, if present, says whether the latter get pretrained weights.
        classes: The number of classes.
        side: The side of the images, in pixels.
        axes: 2 for images, 3 for volumes, for which only ``resnet`` can be used.

    Raises:
        ValueError: The name is none of these.
    """
    if model.name == "resnet":
        return small_resnet(classes, axes=axes)
    if axes == 3:
        raise ValueError(f"For volumes, model.name must be resnet, not {model.name!r}.")
    if model.name == "vit":
        return SmallViT(classes, side)
    library, slash, name = str(model.name).partition("/")
    if slash and library in backbones.LIBRARIES:
        return backbones.load(library, name, classes, model.get("pretrained", True))
    raise ValueError(f"model.name must be resnet, vit, timm/NAME or transformers/NAME, not {model.name!r}.")
