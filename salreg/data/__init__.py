"""Datasets that carry annotations."""

from salreg.data.annotated_dataset import AnnotatedBatch, AnnotatedDataset, AnnotatedSample, Collate

__all__ = ["AnnotatedBatch", "AnnotatedDataset", "AnnotatedSample", "Collate"]
