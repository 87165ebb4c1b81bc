"""Streams: data without indices, whose annotations are a function of a sample."""

import pickle

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset

from salreg import AnnotatedDataset
from salreg.data import Annotate, AnnotatedStream, Collate


class Rows(IterableDataset):
    def __init__(self, count=6):
        self.count = count

    def __iter__(self):
        return ({"x": torch.full((2,), float(row)), "y": row} for row in range(self.count))


def first_column(sample):
    return torch.tensor([-1, 0]) if sample["y"] % 2 else None


def test_a_missing_annotation_says_that_nobody_looked():
    batch = next(iter(DataLoader(AnnotatedStream(Rows(), first_column), batch_size=4)))
    assert batch.annotation.tolist() == [[0, 0], [-1, 0], [0, 0], [-1, 0]]
    assert batch.looked_at.tolist() == [False, True, False, True]
    assert batch.sample["y"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("empty", "looked_at"), [("looked at", True), ("unknown", False)])
def test_an_annotation_that_marks_nothing_says_what_it_is_told_to_say(empty, looked_at):
    assert Annotate(lambda sample: torch.zeros(2), empty=empty)({"x": torch.ones(2)}).looked_at is looked_at


def test_several_inputs_are_annotated_by_name():
    sample = Annotate({"x": first_column, "z": lambda sample: None})({"x": torch.ones(2), "y": 1, "z": torch.ones(3)})
    assert sample.annotation["x"].tolist() == [-1, 0]
    assert sample.annotation["z"].tolist() == [0, 0, 0]
    assert sample.looked_at == {"x": True, "z": False}


class Resumable(Rows):
    def __len__(self):
        return self.count

    def state_dict(self):
        return {"at": 3}


def test_what_a_stream_knows_of_itself_is_its_bases():
    stream = pickle.loads(pickle.dumps(AnnotatedStream(Rows(), first_column)))
    assert not hasattr(stream, "state_dict")
    assert len(list(stream)) == 6
    assert AnnotatedStream(Resumable(), first_column).state_dict() == {"at": 3}
    assert len(DataLoader(AnnotatedStream(Resumable(), first_column), batch_size=4)) == 2


def test_what_is_no_stream_or_no_function_is_refused():
    with pytest.raises(TypeError, match="iterable dataset, not"):
        AnnotatedStream(3, first_column)
    with pytest.raises(TypeError, match=r"have no index.* by a function of a sample, not by"):
        AnnotatedStream(Rows(), {"x": {0: torch.zeros(2)}})
    with pytest.raises(TypeError, match=r"salreg.data.AnnotatedStream\(base, annotations\)"):
        AnnotatedDataset(Rows(), {})
    with pytest.raises(ValueError, match="annotation of the stream"):
        Annotate(lambda sample: torch.tensor([2.0, 0]))({"x": torch.ones(2)})


def test_a_collate_function_of_ones_own_goes_on():
    batch = Collate(lambda samples: [one["y"] for one in samples])([*AnnotatedStream(Rows(2), first_column)])
    assert batch.sample == [0, 1]
