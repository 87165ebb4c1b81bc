"""Papers as presets: an attribution, a loss and a score, composed as published.

Each function returns a penalty. What all of them depart from: gradients at the input are measured per standard deviation of the
input, and means run over the annotated samples, so that published weights, which span 20 decades, do not carry over; 1 is the
weight to start with.
"""

from collections.abc import Callable, Mapping
from typing import Any

from salreg import checks
from salreg.penalties import Penalty
from salreg.presets.input_maps import energy, expected_gradients_prior, gals_outside, gradmask, rationale_supervision, rbr, rrr
from salreg.presets.layer_maps import gradia, hint, ppce, res, rrr_gradcam
from salreg.presets.without_maps import actdiff, cdep, counterexamples, region_path, rr_clarc, saliency_guided

__all__ = [
    "NAMED",
    "actdiff",
    "cdep",
    "counterexamples",
    "energy",
    "expected_gradients_prior",
    "gals_outside",
    "gradia",
    "gradmask",
    "hint",
    "ppce",
    "rationale_supervision",
    "rbr",
    "region_path",
    "res",
    "resolve",
    "rr_clarc",
    "rrr",
    "rrr_gradcam",
    "saliency_guided",
]

NAMED: dict[str, Callable[..., Penalty]] = {
    preset.__name__: preset
    for preset in (
        rrr, rrr_gradcam, hint, gradmask, rbr, cdep, energy, gradia, ppce, expected_gradients_prior, saliency_guided, actdiff,
        res, rr_clarc, gals_outside, rationale_supervision, counterexamples, region_path,
    )
}  # fmt: skip


def resolve(preset: str | Mapping[str, Any] | Penalty) -> Penalty:
    """The penalty of a preset's name, of ``{"name": ..., option: ...}``, or the object itself.

    Raises:
        TypeError: Something else, or an option of another type.
        ValueError: An unknown preset or option; the nearest names are suggested.

    Example:
        >>> print(resolve({"name": "hint", "form": "ranking"}))
        RankingLoss of GradCAM
    """
    if isinstance(preset, Penalty):
        return preset
    return checks.made("a preset", preset, NAMED)
