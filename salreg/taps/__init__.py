"""Where saliency is read: one forward pass, observed at its input, at chosen layers and at its logits.

The observed call is that of a module (``record``), or a user's whole step (``StepObserver``). In a step the batch's own tensors
become leaves that require grad: whatever the step does to them stays in the graph, so that the gradient belongs to the batch's
own pixels, where the marks are. Token numbers carry no gradient, so the output of their embedding is the tap instead.
"""

from salreg.taps.calls import find_logits
from salreg.taps.layers import ATTENTION, LAST_CONV, Layer, check_layers, find_layer, name_of
from salreg.taps.nested import (
    copied,
    is_mask,
    map_leaves,
    place_of,
    replace_tensor,
    replace_tensors,
    rows_of,
    shells,
    tensors_in,
)
from salreg.taps.observer import Observer, record
from salreg.taps.options import Options, WithGradient
from salreg.taps.recording import Recording
from salreg.taps.search import Found
from salreg.taps.step_observer import StepObserver

__all__ = [
    "ATTENTION",
    "LAST_CONV",
    "Found",
    "Layer",
    "Observer",
    "Options",
    "Recording",
    "StepObserver",
    "WithGradient",
    "check_layers",
    "copied",
    "find_layer",
    "find_logits",
    "is_mask",
    "map_leaves",
    "name_of",
    "place_of",
    "record",
    "replace_tensor",
    "replace_tensors",
    "rows_of",
    "shells",
    "tensors_in",
]
