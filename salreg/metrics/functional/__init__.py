"""Metrics as plain functions of tensors."""

from salreg.metrics.functional.drift import (
    map_center,
    map_cosine,
    map_entropy,
    map_gini,
    map_rank_correlation,
    map_shift,
    map_ssim,
)
from salreg.metrics.functional.groups import worst_group_accuracy
from salreg.metrics.functional.localisation import (
    pointing_game,
    relevance_rank,
    relevant_saliency,
    spurious_saliency,
)
from salreg.metrics.functional.rationale import comprehensiveness, rationale_f1, sufficiency
from salreg.metrics.functional.regression import regression_reliance
from salreg.metrics.functional.reliance import reliance

__all__ = [
    "comprehensiveness",
    "map_center",
    "map_cosine",
    "map_entropy",
    "map_gini",
    "map_rank_correlation",
    "map_shift",
    "map_ssim",
    "pointing_game",
    "rationale_f1",
    "regression_reliance",
    "relevance_rank",
    "relevant_saliency",
    "reliance",
    "spurious_saliency",
    "sufficiency",
    "worst_group_accuracy",
]
