"""Carrying marks over: from some marked and looked-at samples to the rest of a dataset."""

from salreg.propagation.propagate import Propagated, propagate
from salreg.propagation.quality import PropagationError, Quality

__all__ = ["PropagationError", "Propagated", "Quality", "propagate"]
