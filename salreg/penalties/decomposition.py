"""CDEP: the part of the logits that comes from the spurious region should be small compared with the rest."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from salreg import annotations, scores
from salreg.attributions.decomposition import decompose
from salreg.losses.base import PerSample
from salreg.penalties.base import Evaluated, Penalty
from salreg.taps import Recording


class DecompositionPenalty(Penalty):
    r"""Contextual decomposition explanation penalisation (Rieger et al. 2020).

    .. math:: L_i = \tfrac{1}{C} \sum_c \mathrm{softmax}(\beta_{ic}, \gamma_{ic})_1 \quad\text{(softmax)}, \qquad
              L_i = -\log \mathrm{softmax}(\beta_{iy}, \gamma_{iy})_2 \quad\text{(log\_softmax)}

    beta is the part of the logits that comes from the sample's spurious marks, gamma the rest
    (``salreg.attributions.decompose``). The paper uses the first form, over all classes, for images, and the second, for the
    true class, for texts. It needs no second derivative, and costs a decomposed forward pass (about two plain ones) and its
    first-order backward pass.

    It departs from the published code in that the network keeps its mode (there it stays in eval mode afterwards), and in that
    it supports all architectures whose operators have a rule.

    Args:
        form: ``softmax`` or ``log_softmax``.

    Raises:
        ValueError: The form is unknown.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        >>> with DecompositionPenalty().watch(model) as watch:
        ...     logits = model(torch.randn(4, 3))
        >>> watch.penalty(None, torch.tensor([[-1, 0, 0]] * 4)).backward()
    """

    needed_marks = "spurious"

    def __init__(self, form: Literal["softmax", "log_softmax"] = "softmax") -> None:
        super().__init__()
        if form not in ("softmax", "log_softmax"):
            raise ValueError(f"form must be softmax or log_softmax, not {form!r}.")
        self.form = form

    def evaluate(self, recording: Recording, target: Tensor | None, annotation: Tensor) -> Evaluated:
        spurious = annotations.marks(annotation).spurious
        region, rest = decompose(recording, spurious)
        if self.form == "softmax":
            value = torch.sigmoid(region - rest).flatten(1).mean(1)
        else:
            excess = scores.evaluate(scores.target_logit, region, target) - scores.evaluate(scores.target_logit, rest, target)
            value = -logsigmoid(-excess)
        scored = annotations.is_annotated(spurious)
        return Evaluated(PerSample(value, scored, torch.zeros_like(scored)), None, annotation)

    def __str__(self) -> str:
        return f"DecompositionPenalty ({self.form})"
