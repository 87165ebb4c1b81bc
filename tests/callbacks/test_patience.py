"""How long the callbacks wait before they call something an error."""

import pytest
import torch
from support import fit, fresh, images, regularizer

from salreg.attributions import InputGradient
from salreg.penalties import SaliencyPenalty


def seen(*sizes):
    """A penalty for spurious marks that has seen batches of samples with relevant ones."""
    penalty = SaliencyPenalty()
    for size in sizes:
        penalty.notice_marks(torch.ones(size, 1, 2, 2))
    return penalty


def test_marks_of_the_wrong_side_are_an_error_from_32_samples_on():
    seen(31)
    seen(16, 15)
    for sizes in ((32,), (16, 16), (31, 1), (40,)):
        with pytest.raises(ValueError, match=f"none of the {sum(sizes)} annotated samples"):
            seen(*sizes)


def test_samples_without_a_mark_do_not_count():
    penalty = seen(31)
    penalty.notice_marks(torch.zeros(9, 1, 2, 2))
    with pytest.raises(ValueError, match="none of the 32"):
        penalty.notice_marks(torch.ones(1, 1, 2, 2))


def test_one_mark_of_the_right_side_is_enough_for_ever():
    penalty = seen(31)
    penalty.notice_marks(-torch.ones(1, 1, 2, 2))
    penalty.notice_marks(torch.ones(99, 1, 2, 2))
    penalty.check_marks()


def nan_at(steps):
    """A score that is NaN at these penalised steps, counted from 1."""
    calls = []

    def score(logits, target):
        calls.append(None)
        values = logits.log_softmax(1).sum(1)
        return values * float("nan") if len(calls) in steps else values

    return score


def trained(steps, epochs):
    fit(fresh(), regularizer(attribution=InputGradient(nan_at(steps)), differentiation="exact"), epochs=epochs)


def test_ten_skipped_penalties_in_a_row_are_an_error_and_nine_are_not():
    trained(range(1, 10), epochs=3)
    trained(range(4, 13), epochs=4)
    with pytest.raises(RuntimeError, match="for 10 penalised steps in a row"):
        trained(range(1, 11), epochs=4)
    with pytest.raises(RuntimeError, match="for 10 penalised steps in a row"):
        trained(range(3, 13), epochs=4)


def test_a_defined_penalty_between_starts_the_count_anew():
    trained([*range(1, 10), *range(11, 20)], epochs=7)
    assert images()[0].shape[0] == 24  # three steps an epoch, so that all of them were made
