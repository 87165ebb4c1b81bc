"""Tensors that do not fit each other, where people measure by hand."""

import math

import pytest
import torch
from hostile.refusal import refused

from salreg import losses, metrics
from salreg.metrics import functional
from salreg.sanity import deletion_curve

MAPS, MARKS = torch.rand(3, 1, 4, 4), torch.zeros(3, 1, 4, 4)
MARKS[:, :, 0] = -1
MARKS[:, :, 1] = 1
MISFITS = [torch.zeros(3, 1, 5, 5), torch.zeros(2, 1, 4, 4), torch.zeros(3, 4), torch.zeros(3, 2, 5, 4), torch.zeros(3, 1, 4)]


@pytest.mark.parametrize("marks", MISFITS, ids=lambda marks: str(tuple(marks.shape)))
@pytest.mark.parametrize("name", [*losses.NAMED])
def test_a_loss_names_the_shapes_of_a_map_and_marks_that_do_not_fit(name, marks):
    refused(lambda: losses.resolve(name)(MAPS, marks), str(tuple(marks.shape)), str(tuple(MAPS.shape)))


@pytest.mark.parametrize("marks", MISFITS, ids=lambda marks: str(tuple(marks.shape)))
@pytest.mark.parametrize("name", ["spurious_saliency", "relevant_saliency", "pointing_game", "relevance_rank", "rationale_f1"])
def test_so_does_a_metric(name, marks):
    refused(lambda: getattr(functional, name)(MAPS, marks), str(tuple(marks.shape)), str(tuple(MAPS.shape)))


@pytest.mark.parametrize("other", [MAPS[:2], MAPS[..., :3], MAPS[:, 0]], ids=lambda other: str(tuple(other.shape)))
@pytest.mark.parametrize("name", ["map_cosine", "map_rank_correlation", "map_ssim", "map_shift"])
def test_two_maps_of_different_shapes_are_named(name, other):
    refused(lambda: getattr(functional, name)(MAPS, other), str(tuple(other.shape)))


OTHERS = [
    (lambda: functional.reliance(torch.zeros(3), torch.zeros(2)), ["(3,)", "(2,)"]),
    (lambda: functional.reliance(torch.zeros(3), torch.zeros(3), torch.ones(2, dtype=torch.bool)), ["(3,)", "(2,)"]),
    (lambda: functional.worst_group_accuracy(torch.zeros(3), torch.zeros(3), torch.zeros(2)), ["(3,)", "(2,)"]),
    (lambda: functional.worst_group_accuracy(torch.zeros(3), torch.zeros(3), torch.tensor([0, -1, 0])), ["-1"]),
    (lambda: metrics.WorstGroupAccuracy(2).update(torch.zeros(2), torch.zeros(2), torch.tensor([0, 2])), ["0 to 1", "2"]),
    (lambda: functional.comprehensiveness(lambda x: x, torch.rand(2, 5), torch.rand(2, 4)), ["(2, 4)", "(2, 5)"]),
    (
        lambda: functional.sufficiency(lambda x: x, torch.rand(2, 5), torch.rand(2, 5), shares=[math.nan]),
        ["shares must be a number"],
    ),
    (lambda: deletion_curve(lambda x: x, torch.rand(2, 5), torch.rand(2, 5), steps=0), ["steps must be a whole number"]),
]


@pytest.mark.parametrize(("call", "words"), OTHERS)
def test_everything_else_is_named_too(call, words):
    refused(call, *words)
