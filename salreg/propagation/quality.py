"""The quality of carried-over marks, measured on marked samples that the network did not see."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

LEVELS = 100


class PropagationError(ValueError):
    """Marks cannot be carried over, or not well enough."""


class Counts:
    """How many pixels are found at each of ``LEVELS`` thresholds, inside and outside what a person marked."""

    def __init__(self) -> None:
        self.inside, self.outside = (torch.zeros(LEVELS, dtype=torch.float64) for _ in range(2))

    def add(self, probability: Tensor, mask: Tensor) -> None:
        """Add one sample: a probability in [0, 1] and a boolean for each pixel."""
        level = (probability * LEVELS).long().clamp(0, LEVELS - 1)
        self.inside += torch.bincount(level[mask], minlength=LEVELS)
        self.outside += torch.bincount(level[~mask], minlength=LEVELS)

    def best(self) -> "Best":
        """The threshold with the highest IoU, of the marked or of the unmarked pixels, whichever is lower; the middle one of
        several that are equally good."""
        found, wrong = (counts.flip(0).cumsum(0).flip(0) for counts in (self.inside, self.outside))
        marked, unmarked = self.inside.sum(), self.outside.sum()
        iou = torch.minimum(found / (marked + wrong).clamp(min=1), _share(unmarked - wrong, unmarked + marked - found))
        level = int((iou >= iou.max() - 1e-3).nonzero().float().median())
        precision, recall = found / (found + wrong).clamp(min=1), found / marked.clamp(min=1)
        return Best(float(precision[level]), float(recall[level]), float(iou[level]), level / LEVELS)


class Best(NamedTuple):
    """The threshold with the highest IoU, and the quality it reaches."""

    precision: float
    recall: float
    iou: float
    threshold: float


@dataclass(frozen=True)
class Quality:
    """The quality of carried-over marks, on samples that somebody looked at and that the network was not fitted to.

    Attributes:
        precision: The share of the pixels found that are marked.
        recall: The share of the marked pixels that are found.
        iou: The number of pixels that are marked and found, divided by the number that are either; or the same of the pixels
            that are neither, if that is lower: around marks that cover nearly all of an image, the rest is what matters.
        threshold: The probability from which a pixel is marked; chosen on the same samples, for the highest IoU.
        marked: The number of these samples with marks.
        clean: The number with nothing spurious.
        missed: The number of marked samples in which nothing was found.
        invented: The number of clean samples in which something was found.
    """

    precision: float
    recall: float
    iou: float
    threshold: float
    marked: int
    clean: int
    missed: int
    invented: int

    def __str__(self) -> str:
        lines = [
            f"On {self.marked} marked samples that the network had not seen, {self.recall:.0%} of the marked pixels were "
            f"found, and {self.precision:.0%} of what was found is marked ({self._iou()}).",
            f"Nothing was found on {self.missed} of them.",
        ]
        if self.clean:
            lines.append(f"Something was found on {self.invented} of {self.clean} samples that have nothing spurious.")
            if 2 * self.invented > self.clean:
                lines.append("Such marks hide where the marked feature is absent: look at more samples without it.")
        else:
            lines.append(
                "Nobody looked at a sample without anything spurious, so it is not known whether the network leaves such "
                "samples unmarked."
            )
        return " ".join(lines)

    def _iou(self) -> str:
        both = self.precision * self.recall
        of_marked = both / max(self.precision + self.recall - both, 1e-12)
        if of_marked <= self.iou + 0.005:
            return f"IoU {self.iou:.2f}"
        return f"IoU {of_marked:.2f}, but {self.iou:.2f} for what is not marked"


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """1 where there is nothing to share."""
    return torch.where(whole > 0, part / whole.clamp(min=1), 1.0)


def marks_needed(marks: int, iou: float, iou_of_half: float, wanted: float) -> int | None:
    """How many marks would reach an IoU, if errors fall as the power of their number observed from half of them to all.

    Args:
        marks: The number of marks.
        iou: The IoU with all of them.
        iou_of_half: The IoU with half of them.
        wanted: The IoU to reach, in (0, 1).

    Returns:
        The number of marks; None if more marks did not help, or if it would take more than a hundred times as many.

    Example:
        >>> marks_needed(40, iou=0.5, iou_of_half=0.25, wanted=0.7)
        96
    """
    if not iou_of_half < iou < wanted:
        return None
    exponent = math.log2((1 - iou_of_half) / (1 - iou))
    factor = ((1 - iou) / (1 - wanted)) ** (1 / exponent) if exponent > 0.01 else math.inf
    return math.ceil(marks * factor) if factor <= 100 else None
