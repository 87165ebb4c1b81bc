"""Whether an explainer can be trusted on this model: maps with randomised parameters, predictions with deleted places."""

from salreg.sanity.check import SanityCheck, check
from salreg.sanity.deletion import area_under, deletion_curve
from salreg.sanity.randomisation import parameter_randomisation

__all__ = ["SanityCheck", "area_under", "check", "deletion_curve", "parameter_randomisation"]
