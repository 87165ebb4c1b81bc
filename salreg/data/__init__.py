"""Data with annotations."""

from salreg.data.annotated_dataset import AnnotatedBatch, AnnotatedDataset, AnnotatedSample, Collate
from salreg.data.augmented import Augmented
from salreg.data.counterexamples import Counterexamples

__all__ = ["AnnotatedBatch", "AnnotatedDataset", "AnnotatedSample", "Augmented", "Collate", "Counterexamples"]
