"""Presets: an attribution, a loss and a score, combined as published in a paper.

Each function returns a penalty. All of them depart from the papers in that gradients at the input are measured per standard
deviation of the input, and that means are taken over the annotated samples. Published weights, which span 20 decades, therefore
do not carry over; start with a weight of 1.
"""

from collections.abc import Callable, Mapping
from typing import Any

from salreg import registry
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
    """The penalty given by a preset's name, by ``{"name": ..., option: ...}``, or as the object itself.

    Raises:
        TypeError: Another type, or an option of a wrong type.
        ValueError: An unknown preset or option; the message suggests the nearest names.

    Example:
        >>> print(resolve({"name": "hint", "form": "ranking"}))
        RankingLoss of GradCAM
    """
    if isinstance(preset, Penalty):
        return preset
    return registry.made("a preset", preset, NAMED)
