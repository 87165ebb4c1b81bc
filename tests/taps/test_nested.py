"""Tensors in whatever a batch is made of."""

from collections import OrderedDict, UserDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest
import torch

from salreg.taps import place_of, replace_tensor, rows_of, tensors_in

Named = namedtuple("Named", "x words")


@dataclass(frozen=True)
class Frozen:
    x: Any
    words: Any = field(default_factory=list)


class Bag(list):
    """A list with a name."""


X = torch.arange(6.0).view(3, 2)
WORDS = ["one", "two", "three"]

COLLECTIONS = [
    (X, WORDS), [X, WORDS], {"x": X, "words": WORDS}, OrderedDict(x=X, words=WORDS), UserDict(x=X, words=WORDS),
    Named(X, WORDS), Frozen(X, WORDS), Bag([X, WORDS]), defaultdict(list, x=X, words=WORDS), {"deep": [({"x": X}, WORDS)]},
]  # fmt: skip


@pytest.mark.parametrize("batch", COLLECTIONS, ids=lambda batch: type(batch).__name__)
def test_a_tensor_is_replaced_wherever_it_is_found(batch):
    new = torch.ones(1)
    changed = replace_tensor(batch, X, new)
    assert type(changed) is type(batch)
    (found,) = tensors_in(changed)
    assert found is new
    (kept,) = tensors_in(batch)
    assert kept is X


@pytest.mark.parametrize("batch", COLLECTIONS, ids=lambda batch: type(batch).__name__)
def test_rows_are_taken_of_tensors_and_of_lists_with_one_entry_a_sample(batch):
    few = rows_of(batch, torch.tensor([2, 0]), 3)
    assert torch.equal(tensors_in(few)[0], X[[2, 0]])
    assert "['three', 'one']" in str(few)


def test_a_tensor_is_replaced_by_identity_not_by_value():
    a, b = torch.zeros(1), torch.zeros(1)
    new = torch.ones(1)
    assert replace_tensor(([a], {"k": b}), b, new) == ([a], {"k": new})


def test_tensors_are_found_in_order():
    a, b, c = torch.zeros(1), torch.ones(1), torch.ones(2)
    found = tensors_in({"x": [a, "text"], "y": (b, {"z": c}), "n": 3})
    assert [id(t) for t in found] == [id(a), id(b), id(c)]


def test_a_batch_of_two_tensors_is_not_taken_for_two_samples():
    x, y = torch.rand(2, 3), torch.tensor([0, 1])
    assert len(rows_of((x, y), [1], 2)) == 2


def test_a_tensor_that_is_there_twice_stays_one():
    a, b = rows_of([X, {"again": X}], [0, 1], 3)
    assert a is b["again"]


def test_a_place_is_written_as_one_would_write_it():
    assert place_of({"deep": [Frozen(X)]}, X) == "['deep'][0].x"
    assert place_of(WORDS, X) is None


def test_a_mapping_that_cannot_be_changed_becomes_a_dict():
    changed = replace_tensor(MappingProxyType({"x": X}), X, WORDS)
    assert changed == {"x": WORDS}


def test_lists_of_what_each_sample_has_are_cut_by_samples():
    found = [{"boxes": torch.ones(count, 4), "labels": torch.full((count,), count)} for count in (1, 2, 3)]
    batch = (torch.arange(3.0), found, [torch.zeros(count) for count in (4, 5, 6)])
    x, boxes, lengths = rows_of(batch, [2, 0], 3)
    assert x.tolist() == [2, 0]
    assert [len(one["labels"]) for one in boxes] == [3, 1]
    assert [len(one) for one in lengths] == [6, 4]


def test_columns_of_as_many_samples_stay_columns():
    batch = {"x": [torch.arange(2), torch.arange(2) + 2]}
    assert [one.tolist() for one in rows_of(batch, [1], 2)["x"]] == [[1], [3]]
