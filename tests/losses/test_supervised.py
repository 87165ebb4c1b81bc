"""Losses towards the relevant marks, against torch.nn's and plain loops."""

import math

import pytest
import torch
from torch import nn

from salreg.losses import (
    BinaryCrossEntropy,
    HuberLoss,
    KullbackLeibler,
    MeanAbsoluteError,
    MeanSquaredError,
    PointwiseCrossEntropy,
)

torch.manual_seed(0)
MAPS = torch.randn(5, 2, 4, 4)
MARKS = torch.zeros(5, 1, 4, 4)
MARKS[:4, :, 1:3, 1:3] = 1
MARKS[:2, :, 0] = -1
MARKS[1, :, 2, 2] = 0.5
PLACES = MAPS.sum(1).flatten(1)
RELEVANT = MARKS.clamp(min=0).flatten(1)


def over_max(places):
    return places.clamp(min=0) / places.abs().amax(1, keepdim=True)


def min_max(places):
    low, high = places.amin(1, keepdim=True), places.amax(1, keepdim=True)
    return (places - low) / (high - low)


@pytest.mark.parametrize(
    ("loss", "normalised", "torchs"),
    [
        (MeanSquaredError(), over_max, nn.MSELoss()),
        (MeanSquaredError("min_max"), min_max, nn.MSELoss()),
        (MeanSquaredError("none"), lambda places: places, nn.MSELoss()),
        (MeanAbsoluteError(), over_max, nn.L1Loss()),
        (HuberLoss(), torch.sigmoid, nn.SmoothL1Loss()),
    ],
)
def test_they_are_torchs_losses_of_the_annotated_samples(loss, normalised, torchs):
    torch.testing.assert_close(loss(MAPS, MARKS), torchs(normalised(PLACES)[:4], RELEVANT[:4]))


def test_binary_cross_entropy_weighs_both_sides_alike():
    marked = RELEVANT[:4].sum()
    expected = nn.BCEWithLogitsLoss(pos_weight=(64 - marked) / marked)(PLACES[:4], RELEVANT[:4])
    torch.testing.assert_close(BinaryCrossEntropy()(MAPS, MARKS), expected)


def test_where_nothing_is_relevant_nothing_is_scored_and_every_value_is_a_number():
    losses = BinaryCrossEntropy().per_sample(MAPS, -MARKS.abs())
    assert not losses.scored.any()
    assert losses.value.isfinite().all()


def test_divergence_from_the_marks_as_a_distribution():
    wanted = RELEVANT[:4] / RELEVANT[:4].sum(1, keepdim=True)
    expected = nn.KLDivLoss(reduction="batchmean")(PLACES[:4].log_softmax(1), wanted)
    torch.testing.assert_close(KullbackLeibler()(MAPS, MARKS), expected)


def test_pointwise_cross_entropy_looks_at_the_relevant_places_alone():
    maps = PLACES.abs() + 0.1
    losses = []
    for i in range(4):
        inside = [(RELEVANT[i, d], maps[i, d] / maps[i].max()) for d in range(16) if RELEVANT[i, d] > 0]
        losses.append(-sum(r * math.log(m) for r, m in inside) / sum(r for r, _ in inside))
    torch.testing.assert_close(PointwiseCrossEntropy()(maps.view(5, 1, 4, 4), MARKS), torch.stack(losses).mean())


def test_spurious_marks_alone_are_not_scored():
    for loss in (MeanSquaredError(), BinaryCrossEntropy(), KullbackLeibler(), PointwiseCrossEntropy()):
        assert not loss.per_sample(torch.rand(2, 3), torch.tensor([[-1.0, 0, 0], [0, 0, 0]])).scored.any()


def test_a_map_without_a_scale_is_undefined_and_leaves_finite_gradients():
    for loss in (MeanSquaredError("min_max"), MeanAbsoluteError("max"), PointwiseCrossEntropy("max")):
        maps = torch.zeros(2, 3)
        maps[1] = torch.tensor([1.0, 2.0, 3.0])
        maps.requires_grad_()
        losses = loss.per_sample(maps, torch.tensor([[1.0, 0, 0]] * 2))
        assert losses.undefined.tolist() == [True, False]
        loss(maps, torch.tensor([[1.0, 0, 0]] * 2)).backward()
        assert maps.grad.isfinite().all()
        assert maps.grad[1].any()


def test_unknown_normalisations_are_named():
    with pytest.raises(ValueError, match="max, min_max, sigmoid or none, not 'maximum'"):
        MeanSquaredError("maximum")(MAPS, MARKS)
