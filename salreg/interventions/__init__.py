"""Interventions: batches in which what is marked tells nothing about the label, and other replacements."""

from salreg.interventions.changed_batch import Intervened, WithPresence
from salreg.interventions.content import transplanted
from salreg.interventions.counterparts import CounterpartIntervention, Exchanged
from salreg.interventions.fills import FILLS, Fill, filled
from salreg.interventions.grids import Fate
from salreg.interventions.inputs import annotated_input
from salreg.interventions.intervention import Intervention
from salreg.interventions.replacements import REPLACEMENTS, Replacement, replace

__all__ = [
    "FILLS",
    "REPLACEMENTS",
    "CounterpartIntervention",
    "Exchanged",
    "Fate",
    "Fill",
    "Intervened",
    "Intervention",
    "Replacement",
    "WithPresence",
    "annotated_input",
    "filled",
    "replace",
    "transplanted",
]
