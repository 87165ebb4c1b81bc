"""What a training step's loss says of the batch: which tensor holds the targets, and how the logits become probabilities."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from salreg.taps import Found, place_of, tensors_in
from salreg.taps.loss_graph import Link


@dataclass(frozen=True)
class Reading:
    """Read off the graph behind a loss; certain as far as it goes.

    Attributes:
        link: Softmax, sigmoid or regression; None where the loss does not tell.
        target_index: Which of the batch's tensors the loss compares the logits with; None where it is made of something else.
        target_place: Where that tensor lies, as one would write it.
        has_target: Whether the loss keeps its targets at all.
    """

    link: Link | None = None
    target_index: int | None = None
    target_place: str | None = None
    has_target: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing more to learn."""
        return self.link is not None

    @classmethod
    def of(cls, found: Found, sample: Any) -> "Reading":
        """What a search has found, put in terms of the batch."""
        if found.target is None:
            return cls(found.link)
        for index, tensor in enumerate(tensors_in(sample)):
            if _are_the_targets(tensor, found.target):
                return cls(found.link, index, f"batch{place_of(sample, tensor)}", True)
        return cls(found.link, has_target=True)


def _are_the_targets(tensor: Tensor, target: Tensor) -> bool:
    """Whether the loss got this tensor, whatever it was converted to on the way."""
    return tensor.numel() == target.numel() and torch.equal(tensor.reshape(-1).to(target), target.reshape(-1))
