import math

import pytest
import torch
from torch import tensor

from salreg.metrics import PointingGame, RelevanceRank, RelevantSaliency, Reliance, SpuriousSaliency, WorstGroupAccuracy
from salreg.metrics.functional import (
    pointing_game,
    relevance_rank,
    relevant_saliency,
    reliance,
    replace_spurious,
    spurious_saliency,
    worst_group_accuracy,
)  # fmt: skip


def test_spurious_saliency_is_a_share_of_absolute_values():
    saliency = tensor([[[[1.0, -3.0]], [[2.0, 2.0]]]])  # two channels of a 1 x 2 image
    assert spurious_saliency(saliency, tensor([[[[-1, 0]]]])).item() == pytest.approx(3 / 8)


def test_relevant_saliency_is_the_energy_pointing_game():
    saliency = tensor([[[[1.0, -3.0]], [[2.0, 5.0]]]])  # channels sum to [3, 2]
    assert relevant_saliency(saliency, tensor([[[[0, 1]]]])).item() == pytest.approx(2 / 5)


@pytest.mark.parametrize("share", [spurious_saliency, relevant_saliency])
def test_maps_without_mass_are_undefined(share):
    assert share(torch.zeros(1, 2), tensor([[-1, 1]])).isnan().all()
    assert share(torch.full((1, 2), float("nan")), tensor([[-1, 1]])).isnan().all()


@pytest.mark.parametrize(("metric", "mark"), [(SpuriousSaliency, -1), (RelevantSaliency, 1)])
def test_undefined_maps_are_counted_apart_and_unmarked_samples_not_at_all(metric, mark):
    metric = metric()
    saliency = tensor([[1.0, 3.0], [0.0, 0.0], [1.0, 1.0]])
    metric.update(saliency, tensor([[mark, 0], [mark, 0], [0, 0]]))
    assert metric.compute().item() == 0.25
    assert metric.undefined.item() == 1


def test_without_marks_there_is_no_value():
    metric = SpuriousSaliency()
    metric.update(torch.ones(2, 2), torch.zeros(2, 2))
    assert math.isnan(metric.compute().item())


def test_batches_add_up():
    metric, saliency, marks = SpuriousSaliency(), torch.rand(6, 4), tensor([[-1, 0, 0, 0]] * 6)
    for part in (slice(0, 1), slice(1, 6)):
        metric.update(saliency[part], marks[part])
    assert metric.compute() == pytest.approx(spurious_saliency(saliency, marks).mean().item())


def test_worst_group_accuracy():
    predictions, target = tensor([0, 1, 1, 0]), tensor([0, 1, 0, 0])
    group = tensor([0, 0, 2, 2])
    assert worst_group_accuracy(predictions, target, group).item() == 0.5
    metric = WorstGroupAccuracy(groups=3)
    metric.update(predictions[:2], target[:2], group[:2])
    assert metric.compute().item() == 1.0  # the empty group does not count
    metric.update(torch.nn.functional.one_hot(predictions[2:]).float(), target[2:], group[2:])
    assert metric.compute().item() == 0.5


def test_groups_out_of_range_are_named():
    with pytest.raises(ValueError, match=r"Groups go from 0 to 1; found 0 to 2"):
        WorstGroupAccuracy(groups=2).update(tensor([0, 0]), tensor([0, 0]), tensor([0, 2]))


def test_reliance_counts_changed_predictions_of_marked_samples():
    marks = tensor([[-1], [-1], [1]])
    before, after = tensor([[1.0, 0.0]] * 3), tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert reliance(before, after, marks).item() == 0.5
    metric = Reliance()
    metric.update(before, after, marks)
    assert metric.compute().item() == 0.5


def test_reliance_of_a_binary_model_with_one_logit():
    assert reliance(tensor([[2.0], [-1.0]]), tensor([[2.0], [1.0]]), -torch.ones(2, 1)).item() == 0.5


def test_only_the_spurious_region_is_replaced_and_always_by_another_sample():
    inputs = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 2, 3, 3)
    marks = torch.zeros(5, 1, 3, 3, dtype=torch.int8)
    marks[:, :, 0, 0] = -1
    replaced = replace_spurious(inputs, marks, torch.Generator().manual_seed(0))
    outside = torch.ones(3, 3, dtype=torch.bool)
    outside[0, 0] = False
    assert torch.equal(replaced[..., outside], inputs[..., outside])
    assert (replaced[:, :, 0, 0] != inputs[:, :, 0, 0]).all()
    assert sorted(replaced[:, 0, 0, 0].tolist()) == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_single_sample_has_no_other():
    with pytest.raises(ValueError, match="one sample only"):
        replace_spurious(torch.ones(1, 2), -torch.ones(1, 2))


@pytest.mark.parametrize(
    "call",
    [
        lambda: reliance(tensor([0, 1]), tensor([0]), torch.ones(2, 1)),
        lambda: worst_group_accuracy(tensor([0, 1]), tensor([0]), tensor([0, 0])),
    ],
)
def test_lengths_that_differ_are_an_error(call):
    with pytest.raises(ValueError, match="one entry per sample"):
        call()


def test_metrics_plot():
    metric = SpuriousSaliency()
    metric.update(tensor([[1.0, 3.0]]), tensor([[-1, 0]]))
    _figure, axes = metric.plot()
    assert axes.get_ylim()[1] >= 1.0


def test_metrics_move_between_inference_mode_and_training():
    metric = Reliance()
    with torch.inference_mode():
        metric.reset()
        metric.update(tensor([0]), tensor([1]), -torch.ones(1, 1))
    metric.update(tensor([0]), tensor([0]), -torch.ones(1, 1))
    assert metric.compute().item() == 0.5


def test_pointing_game_and_relevance_rank_in_a_plain_loop():
    torch.manual_seed(0)
    maps, marks = torch.randn(20, 2, 6, 6), torch.zeros(20, 1, 6, 6)
    marks[:, :, 1:4, 2:5] = 1
    marks[:, :, 5] = -1
    for i, (hit, rank) in enumerate(zip(pointing_game(maps, marks), relevance_rank(maps, marks), strict=True)):
        places, relevant = maps[i].sum(0).flatten(), (marks[i] > 0).flatten()
        assert hit == relevant[places.argmax()]
        assert rank == pytest.approx(relevant[places.topk(9).indices].float().mean().item())


@pytest.mark.parametrize("function", [pointing_game, relevance_rank])
def test_nothing_to_find_or_nothing_found_is_undefined(function):
    """Where Quantus's pointing game scores an empty mask as a hit."""
    maps = tensor([[1.0, 2.0], [0.0, 0.0], [1.0, float("nan")], [1.0, 2.0]])
    marks = tensor([[0, 0], [0, 1], [0, 1], [0, 1]])
    assert function(maps, marks).isnan().tolist() == [True, True, True, False]


def test_places_that_tie_count_as_far_as_there_is_room():
    maps = tensor([[3.0, 1.0, 1.0, 1.0, 0.0]])
    assert relevance_rank(maps, tensor([[1, 1, 0, 0, 0]])).item() == pytest.approx((1 + 1 / 3) / 2)


@pytest.mark.parametrize(("metric", "expected"), [(PointingGame, 0.5), (RelevanceRank, 0.5)])
def test_they_are_metrics_too(metric, expected):
    metric = metric()
    metric.update(tensor([[1.0, 2.0], [2.0, 1.0], [0.0, 0.0], [1.0, 2.0]]), tensor([[0, 1], [0, 1], [0, 1], [0, 0]]))
    assert (metric.compute().item(), metric.undefined.item()) == (expected, 1)


@pytest.mark.parametrize("by", ["mean", "noise"])
def test_a_filled_region_tells_nothing_of_the_sample(by):
    x = torch.rand(200, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 2.0, 4.0]).view(3, 1, 1)
    annotation = torch.zeros(200, 1, 4, 4)
    annotation[:, :, 0, 0] = -1
    replaced = replace_spurious(x, annotation, torch.Generator().manual_seed(0), by)
    assert torch.equal(replaced[:, :, 1:], x[:, :, 1:])
    filled = replaced[:, :, 0, 0]
    torch.testing.assert_close(filled.mean(0), x.mean((0, 2, 3)), rtol=0.15, atol=0)
    spread = torch.zeros(3) if by == "mean" else x.std((0, 2, 3))
    torch.testing.assert_close(filled.std(0), spread, rtol=0.15, atol=1e-6)


def test_a_region_cannot_be_replaced_by_just_anything():
    with pytest.raises(ValueError, match="swap, mean, noise, not by 'zeros'"):
        replace_spurious(torch.rand(2, 3), -torch.ones(2, 3), by="zeros")
