"""Small networks for images."""

from torch import Tensor, nn
from torch.nn.functional import relu

# Group rather than batch normalisation: a sample's saliency is then its own, and small data sets need no running statistics.
_GROUPS = 4


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut; halves the grid where ``stride`` is 2."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.GroupNorm(_GROUPS, out)
        self.conv2, self.norm2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.GroupNorm(_GROUPS, out)
        self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.GroupNorm(_GROUPS, out))

    def forward(self, x: Tensor) -> Tensor:
        inner = relu(self.norm1(self.conv1(x)))
        return relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


def small_resnet(classes: int, width: int = 16, stages: int = 4) -> nn.Sequential:
    """A residual network of ``stages`` blocks, each on half the grid and with twice the channels of the one before."""
    blocks = [ResidualBlock(width * 2 ** max(i - 1, 0), width * 2**i, stride=2) for i in range(stages)]
    stem = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.GroupNorm(_GROUPS, width), nn.ReLU())
    return nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width * 2 ** (stages - 1), classes))
