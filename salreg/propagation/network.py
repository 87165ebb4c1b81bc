"""The network that finds regions."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, relu

_GROUPS = 4


class RegionNet(nn.Module):
    """A small fully convolutional network that sees colours, edges and places: a U-Net (Ronneberger et al. 2015) on three
    grids, with dilated convolutions on the coarsest and the coordinates as two more channels (Liu et al. 2018).

    Args:
        channels: The number of channels of the images.
        width: The number of channels on the finest grid; each coarser grid has twice as many.
    """

    def __init__(self, channels: int, width: int = 16) -> None:
        super().__init__()
        self.fine = nn.Sequential(_Convolution(channels + 2, width), _Convolution(width, width))
        self.middle = nn.Sequential(_Convolution(width, 2 * width), _Convolution(2 * width, 2 * width))
        self.coarse = nn.Sequential(
            _Convolution(2 * width, 4 * width), *(_Convolution(4 * width, 4 * width, dilation) for dilation in (2, 4))
        )
        self.from_coarse = _Convolution(6 * width, 2 * width)
        self.from_middle = _Convolution(3 * width, width)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, 1, H, W)`` of images ``(B, C, H, W)``."""
        fine = self.fine(torch.cat([images, _coordinates(images)], 1))
        middle = self.middle(_halved(fine))
        coarse = self.coarse(_halved(middle))
        middle = self.from_coarse(torch.cat([middle, _enlarged(coarse, middle)], 1))
        return self.head(self.from_middle(torch.cat([fine, _enlarged(middle, fine)], 1)))


class _Convolution(nn.Module):
    """3 x 3, normalised by groups of channels within the sample, and rectified."""

    def __init__(self, channels: int, out: int, dilation: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, out, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm = nn.GroupNorm(_GROUPS, out)

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.norm(self.convolution(x)))


def _coordinates(images: Tensor) -> Tensor:
    """``(B, 2, H, W)`` from -1 to 1."""
    height, width = images.shape[-2:]
    rows, columns = (torch.linspace(-1, 1, size, dtype=images.dtype, device=images.device) for size in (height, width))
    grid = torch.stack([rows[:, None].expand(height, width), columns.expand(height, width)])
    return grid.expand(len(images), -1, -1, -1)


def _halved(x: Tensor) -> Tensor:
    return max_pool2d(x, 2, ceil_mode=True)


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    return interpolate(x, like.shape[-2:], mode="nearest")
