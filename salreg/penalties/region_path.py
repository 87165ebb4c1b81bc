"""The attribution of a region along a path that changes nothing but the region. First-order gradients suffice."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid

from salreg import annotations, scores
from salreg.interventions import Intervention
from salreg.losses.base import PerSample
from salreg.penalties.base import Evaluated, Penalty
from salreg.taps import Recording


class RegionPath(Penalty):
    r"""The path attribution of the marked region, from the sample to one with other content in that region.

    .. math:: L_i = \frac{1}{C} \sum_c \Big(\log p_c(x_i) - \log p_c(\tilde x_i)\Big)^2
       = \frac{1}{C} \sum_c \Big(\sum_{j \in R_i} (x_i - \tilde x_i)_j \int_0^1
       \frac{\partial \log p_c}{\partial x_j}\big(\tilde x_i + \alpha (x_i - \tilde x_i)\big) \, d\alpha\Big)^2

    The two samples differ only in the region, so that by completeness the region's attribution along any path between them is
    the difference of their scores (Sundararajan et al. 2017, Proposition 1). It detects a saturated shortcut, whose gradient at
    the sample vanishes. The other sample is drawn by an ``Intervention``: the region holds another marked sample's content, or
    is filled from its surroundings.

    It costs one more forward pass and its first-order backward pass.

    Args:
        presence: The probability that the region holds another sample's content rather than its surroundings.
        fill: How the region is filled; see ``salreg.interventions.filled``.
        seed: The seed of the random numbers; each step goes on drawing from the same sequence.

    Raises:
        ValueError: ``presence`` is not a probability, or the fill is unknown.

    Example:
        >>> model = torch.nn.Linear(3, 2)
        >>> x, y, annotation = torch.randn(4, 3), torch.tensor([0, 1, 0, 1]), torch.tensor([[-1, 0, 0]] * 4)
        >>> with RegionPath().watch(model) as watch:
        ...     logits = model(x)
        >>> watch.penalty(y, annotation).backward()
    """

    needed_marks = "spurious"

    def __init__(self, presence: float = 0.5, fill: Any = "diffusion", *, seed: int = 0) -> None:
        super().__init__()
        self.intervention = Intervention(presence, fill, seed=seed)

    def evaluate(self, recording: Recording, target: Tensor | None, annotation: Tensor) -> Evaluated:
        inputs = recording.activation(None).detach()
        annotation = annotations.align(annotation, inputs)
        other = self.intervention(inputs, annotation)
        changed = recording.repeat(other.sample).require_logits()
        before, after = (_log_probabilities(logits, target, recording.link) for logits in (recording.require_logits(), changed))
        value = scores.over_places((before - after).square().mean(1), target)
        return Evaluated(PerSample(value, other.changed, torch.zeros_like(other.changed)), None, annotation)

    def state_dict(self) -> dict[str, Any]:
        return {"intervention": self.intervention.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.intervention.load_state_dict(state["intervention"])


def _log_probabilities(logits: Tensor, target: Tensor | None, link: str | None) -> Tensor:
    """Log-probabilities of all classes ``(B, C)``, or ``(B, C, P)`` for places; of each label and its absence ``(B, 2 C)`` if a
    sample may have several labels."""
    rows = scores.classes_in_front(logits, link)
    if scores.labels(rows, target) is None:
        return log_softmax(rows, dim=1)
    return logsigmoid(torch.cat([rows, -rows], 1))
