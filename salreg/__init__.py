"""salreg: training-time salience regularisation.

Annotate what a model must not use, and train it not to. The library imports torch and torchmetrics only; the Lightning
callbacks live in ``salreg.callbacks``, the runnable trainings in ``salreg.recipes``.
"""

from salreg import annotations, attributions, losses, presets, scores
from salreg.data import AnnotatedDataset
from salreg.penalties import DeadPenaltyError, SaliencyPenalty

__all__ = [
    "AnnotatedDataset",
    "DeadPenaltyError",
    "SaliencyPenalty",
    "annotations",
    "attributions",
    "losses",
    "presets",
    "scores",
]
