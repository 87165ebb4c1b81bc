"""Data with annotations."""

from salreg.data.annotated import AnnotatedBatch, AnnotatedSample
from salreg.data.annotated_dataset import AnnotatedDataset
from salreg.data.annotated_stream import Annotate, AnnotatedStream
from salreg.data.augmented import Augmented
from salreg.data.collate import Collate
from salreg.data.counterexamples import Counterexamples
from salreg.data.several_inputs import annotations_by_input, by_name, input_named

__all__ = [
    "Annotate",
    "AnnotatedBatch",
    "AnnotatedDataset",
    "AnnotatedSample",
    "AnnotatedStream",
    "Augmented",
    "Collate",
    "Counterexamples",
    "annotations_by_input",
    "by_name",
    "input_named",
]
