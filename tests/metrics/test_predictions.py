"""Classes and probabilities of logits for every place."""

import pytest
import torch

from salreg.metrics.functional.predictions import NO_CLASS, predicted_classes, probabilities


def test_dense_logits_have_the_mean_probability_and_the_class_of_the_highest_mean():
    logits = torch.randn(3, 4, 2, 5)
    assert torch.equal(predicted_classes(logits), logits.mean((2, 3)).argmax(1))
    assert torch.allclose(probabilities(logits), logits.softmax(1).mean((2, 3)))


def test_one_dense_logit_is_that_of_the_second_of_two_classes():
    logits = torch.randn(3, 1, 2, 5)
    second = logits.sigmoid().mean((1, 2, 3))
    assert torch.allclose(probabilities(logits), torch.stack([1 - second, second], 1))
    assert torch.equal(predicted_classes(logits), (logits.mean((1, 2, 3)) > 0).long())


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2, 2), (3, 1), (3,)], ids=str)
def test_nan_among_the_logits_is_no_class(shape):
    logits = torch.zeros(shape)
    logits.flatten()[-1] = torch.nan
    assert predicted_classes(logits).tolist() == [0, 0, NO_CLASS]


def test_classes_stay_as_they_are():
    assert predicted_classes(torch.tensor([2, 0, 1])).tolist() == [2, 0, 1]
