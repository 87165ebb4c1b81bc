"""The colour scale of maps, the same in all pictures and on the page."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from salreg.history import Frame

#: The explanation beside the maps.
RULE = (
    "A map's strongest colour is its own 99th percentile, or a fiftieth of the sample's highest one in any trained epoch, if "
    "that is larger: so a strong untrained epoch does not darken the others, and a nearly empty map stays dark."
)
_PERCENTILE = 0.99
_FAINTEST = 1 / 50


@dataclass(frozen=True)
class Scale:
    """The colour scale of one sample's maps over a training, or over several trainings side by side.

    Attributes:
        floor: The lowest saliency that the strongest colour may stand for.
        total: The largest sum of a map in any trained epoch.
    """

    floor: float
    total: float

    @classmethod
    def of(cls, frames: Iterable[Frame], sample: int) -> "Scale":
        """Compute a scale from the trained epochs, or from the untrained one if there is no other.

        Args:
            frames: The frames of one run, or of several.
            sample: The sample's index in the panel.

        Example:
            >>> import torch
            >>> maps = [torch.full((4, 4), value) for value in (100.0, 1.0, 0.5)]
            >>> scale = Scale.of([Frame(epoch, [one], [""], [0.0]) for epoch, one in enumerate(maps)], sample=0)
            >>> scale.limit(maps[0]), scale.limit(maps[2]), scale.share(maps[2])
            (100.0, 0.5, 0.5)
        """
        frames = list(frames)
        maps = [frame.saliency[sample] for frame in frames if frame.epoch > 0] or [frame.saliency[sample] for frame in frames]
        return cls(_FAINTEST * max(map(_high, maps), default=0.0), max(map(_sum, maps), default=0.0))

    def limit(self, saliency: Tensor) -> float:
        """The saliency that the strongest colour stands for in this map."""
        return max(_high(saliency), self.floor)

    def share(self, saliency: Tensor) -> float:
        """A map's sum as a share of the largest sum in any trained epoch, in [0, 1]."""
        return min(_sum(saliency) / self.total, 1.0) if self.total > 0 else 0.0


def _high(saliency: Tensor) -> float:
    """The 99th percentile, or the maximum of a map that is zero except in a hundredth of its places."""
    values = saliency.float().nan_to_num().flatten()
    if not len(values):
        return 0.0
    return float(values.kthvalue(math.ceil(_PERCENTILE * len(values))).values) or float(values.max())


def _sum(saliency: Tensor) -> float:
    return float(saliency.float().nan_to_num().sum())
