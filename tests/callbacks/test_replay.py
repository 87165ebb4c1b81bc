"""Running a user's step again."""

import pytest
import torch

from salreg.callbacks.replay import arguments_of

BATCH = torch.zeros(2)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (lambda batch: None, [BATCH]),
        (lambda batch, batch_idx: None, [BATCH, 0]),
        (lambda batch, number: None, [BATCH, 0]),
        (lambda batch, batch_idx=3: None, [BATCH, 0]),
        (lambda batch, batch_idx, dataloader_idx=0: None, [BATCH, 0, 0]),
        (lambda batch, batch_idx, own="the user's": None, [BATCH, 0]),
        (lambda *everything: None, [BATCH, 0]),
    ],
)
def test_a_step_gets_what_it_takes(step, expected):
    args, kwargs = arguments_of(step, BATCH)
    assert args[0] is BATCH
    assert args[1:] == expected[1:]
    assert kwargs == {}


def test_indices_that_are_keywords_only_are_given_by_name():
    def step(batch, *, dataloader_idx):
        return batch, dataloader_idx

    assert arguments_of(step, BATCH, dataloader_idx=1)[1] == {"dataloader_idx": 1}


def test_an_iterator_gives_the_batch_and_its_places():
    (iterator,), _ = arguments_of(lambda dataloader_iter: None, BATCH, 3)
    batch, *places = next(iterator)
    assert batch is BATCH
    assert places == [3, 0]
