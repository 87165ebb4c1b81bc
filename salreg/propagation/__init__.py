"""Propagation: carries marks over from the samples that somebody looked at to the rest of a dataset."""

from salreg.propagation.carried_over import CarriedOver
from salreg.propagation.lexicon import Entry, lexicon_of, marked_by, propagate_words
from salreg.propagation.propagate import Propagated, propagate
from salreg.propagation.quality import PropagationError, Quality

__all__ = [
    "CarriedOver",
    "Entry",
    "Propagated",
    "PropagationError",
    "Quality",
    "lexicon_of",
    "marked_by",
    "propagate",
    "propagate_words",
]
