"""Penalties: terms added to the training loss, computed from its forward pass and the batch's annotations."""

from salreg.penalties.base import DeadPenaltyError, Evaluated, Measured, Penalty, Watch, gradient_norms
from salreg.penalties.consistency import ConsistencyPenalty, SaliencyGuided
from salreg.penalties.decomposition import DecompositionPenalty
from salreg.penalties.latent import ActivationDifference, ConceptPenalty
from salreg.penalties.region_path import RegionPath
from salreg.penalties.saliency import SaliencyPenalty

__all__ = [
    "ActivationDifference",
    "ConceptPenalty",
    "ConsistencyPenalty",
    "DeadPenaltyError",
    "DecompositionPenalty",
    "Evaluated",
    "Measured",
    "Penalty",
    "RegionPath",
    "SaliencyGuided",
    "SaliencyPenalty",
    "Watch",
    "gradient_norms",
]
