"""CDEP's two forms from the parts of the logits."""

import pytest
import torch
from support import conv_net, images

from salreg.attributions import decompose
from salreg.penalties import DecompositionPenalty
from salreg.taps import Options, record

X, Y, MARKS = images(6)
ANNOTATED = [1, 2, 4, 5]


def value(penalty, model):
    with penalty.watch(model) as watch:
        model(X)
    return watch.penalty(Y, MARKS)


@pytest.fixture
def parts():
    torch.manual_seed(0)
    model = conv_net()
    with record(model, Options(forward_module=model)) as recording:
        model(X)
    return model, *decompose(recording, MARKS.abs())


def test_softmax_over_every_class(parts):
    model, region, rest = parts
    share = torch.stack([region, rest], -1).softmax(-1)[..., 0]
    torch.testing.assert_close(value(DecompositionPenalty(), model), share[ANNOTATED].mean())


def test_log_softmax_of_the_true_class(parts):
    model, region, rest = parts
    both = torch.stack([region, rest], -1)[torch.arange(6), Y]
    torch.testing.assert_close(value(DecompositionPenalty("log_softmax"), model), -both.log_softmax(-1)[ANNOTATED, 1].mean())


def test_other_forms_are_refused():
    with pytest.raises(ValueError, match="softmax or log_softmax, not 'sigmoid'"):
        DecompositionPenalty("sigmoid")
