"""Which axis holds the classes, and which target belongs to which place, as a loss's graph tells."""

import pytest
import torch
from torch.nn.functional import cross_entropy, log_softmax, pad

from salreg.taps.layout import NO_LABEL, Layout, asks_differently, read_layout, reads_other_numbers

LABELS = torch.tensor([[1, 0, -100, 3], [2, -100, 1, 0]])


def output(*shape):
    torch.manual_seed(0)
    return torch.randn(*shape, requires_grad=True) * 1.0


@pytest.mark.parametrize("classes", [4, 6], ids=["as many classes as places", "more classes"])
def test_the_axis_of_the_classes_is_that_of_the_softmax(classes):
    last, front = output(2, 4, classes), output(2, classes, 4)
    assert read_layout(cross_entropy(last.flatten(0, 1), LABELS.flatten()), [last]) == Layout("tokens", 2)
    assert read_layout(cross_entropy(last.transpose(1, 2), LABELS), [last]) == Layout("tokens", 2)
    assert read_layout(cross_entropy(front, LABELS), [front]) == Layout("tokens", 1)


def test_a_last_place_that_is_dropped_is_cut_and_what_is_ignored_is_known():
    logits = output(2, 4, 6)
    loss = cross_entropy(logits[:, :-1].flatten(0, 1), LABELS[:, 1:].flatten().clamp(min=0), ignore_index=0)
    layout = read_layout(loss, [logits])
    assert layout == Layout("tokens", 2, cut=True, ignored=0)
    assert layout.of([logits]).shape == (2, 6, 3)
    assert layout.target_in(loss, [logits]).tolist() == [[NO_LABEL, NO_LABEL, 3], [NO_LABEL, 1, NO_LABEL]]


def test_labels_that_are_moved_by_one_are_those_of_the_loss():
    logits = output(2, 4, 6)
    loss = cross_entropy(logits.flatten(0, 1), pad(LABELS[:, 1:], (0, 1), value=-100).flatten())
    assert read_layout(loss, [logits]).target_in(loss, [logits])[0].tolist() == [0, NO_LABEL, 3, NO_LABEL]


@pytest.mark.parametrize("swapped", [False, True])
def test_start_and_end_are_told_apart(swapped):
    start, end = torch.tensor([0, 2]), torch.tensor([1, 3])
    logits = output(2, 4, 2)
    terms = [cross_entropy(logits[..., 0], start), cross_entropy(logits[..., 1], end)]
    loss = terms[1] + terms[0] if swapped else terms[0] + terms[1]
    assert read_layout(loss, [logits]) == Layout("span", 1)
    assert Layout("span", 1).target_in(loss, [logits]).tolist() == [[0, 1], [2, 3]]


def test_what_a_loss_does_not_tell_is_not_guessed():
    logits = output(2, 4, 4)
    several = cross_entropy(logits[:, 0], LABELS[:, 0]) + cross_entropy(logits[:, 1], LABELS[:, 1])
    assert read_layout(several, [logits]) is None
    assert asks_differently(several, logits)
    even = torch.zeros(2, 4, 4, requires_grad=True) * 1.0  # of which every axis looks the same
    assert read_layout(cross_entropy(even.flatten(0, 1), LABELS.flatten()), [even]) is None
    hot = cross_entropy((logits / 2).flatten(0, 1), LABELS.flatten())  # a temperature behind the model
    assert read_layout(hot, [logits]) is None


def test_a_softmax_without_targets_tells_the_axis_alone():
    logits = output(2, 4, 6)
    loss = -log_softmax(logits, -1)[:, :, 0].mean()
    layout = read_layout(loss, [logits])
    assert layout == Layout("tokens", 2)
    assert layout.target_in(loss, [logits]) is None


def test_other_numbers_than_the_models_are_noticed():
    logits = output(2, 4, 6)
    assert reads_other_numbers(cross_entropy((logits / 2).flatten(0, 1), LABELS.flatten()), logits)
    assert not reads_other_numbers(cross_entropy(logits.mean(1), LABELS[:, 0]), logits)  # one class a sample
