import math

import pytest
import torch
from torch import tensor

from salreg.metrics import (
    AccuracyUnderIntervention,
    ConstantPredictions,
    PointingGame,
    RelevanceRank,
    RelevantSaliency,
    Reliance,
    SpuriousSaliency,
    WorstGroupAccuracy,
)
from salreg.metrics.functional import (
    pointing_game,
    relevance_rank,
    relevant_saliency,
    reliance,
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


def test_reliance_counts_changed_predictions_of_the_samples_that_count():
    counted = tensor([True, True, False])
    before, after = tensor([[1.0, 0.0]] * 3), tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert reliance(before, after, counted).item() == 0.5
    assert reliance(before, after).item() == pytest.approx(2 / 3)
    metric = Reliance()
    metric.update(before, after, counted)
    assert metric.compute().item() == 0.5


def test_reliance_of_a_binary_model_with_one_logit():
    assert reliance(tensor([[2.0], [-1.0]]), tensor([[2.0], [1.0]])).item() == 0.5


@pytest.mark.parametrize("where", ["before", "after"])
def test_reliance_of_logits_that_are_nan_is_nan_and_never_zero(where):
    logits = {"before": tensor([[1.0, 0.0]] * 3), "after": tensor([[1.0, 0.0]] * 3)}
    logits[where][1, 0] = math.nan
    metric = Reliance()
    metric.update(*logits.values(), tensor([True, False, True]))
    assert metric.compute().item() == 0  # the sample does not count
    metric.update(*logits.values(), tensor([False, True, False]))
    assert math.isnan(metric.compute().item())


def test_an_infinite_logit_is_an_answer():
    assert reliance(tensor([[0.0, -math.inf]]), tensor([[-math.inf, 0.0]])).item() == 1


def test_nothing_counted_is_not_no_reliance():
    assert reliance(tensor([1, 0]), tensor([1, 0]), tensor([False, False])).isnan()


@pytest.mark.parametrize(
    ("predicted", "labelled", "constant"),
    [
        ([98, 2], [50, 50], 1),
        ([99, 1], [50, 50], 1),
        ([97, 3], [50, 50], 0),
        ([98, 2], [97, 3], 1),
        ([98, 2], [98, 2], 0),
        ([100, 0], [0, 100], 0),  # one class is asked for; that the other is said is a matter of accuracy
        ([100, 0], None, 1),
        ([97, 3], None, 0),
    ],
)
def test_constant_predictions_are_nearly_all_one_class_while_the_labels_are_not(predicted, labelled, constant):
    classes, labels = (
        None if counts is None else torch.arange(2).repeat_interleave(tensor(counts)) for counts in (predicted, labelled)
    )
    metric = ConstantPredictions()
    metric.update(classes[:30], None if labels is None else labels[:30])
    metric.update(classes[30:], None if labels is None else labels[30:])
    assert metric.compute().item() == constant


def test_logits_that_are_nan_are_no_constant():
    metric = ConstantPredictions()
    metric.update(torch.full((3, 2), math.nan), tensor([0, 1, 0]))
    assert math.isnan(metric.compute().item())


def accuracy_of_draws(with_it, without_it, target, marked, rounds=4000):
    """The mean accuracy where each sample's presence is really drawn."""
    torch.manual_seed(0)
    present = torch.rand(rounds, len(target)) < marked.float().mean()
    return (torch.where(present, with_it, without_it) == target).float().mean().item()


def test_the_accuracy_under_intervention_is_the_mean_over_draws_of_the_presence():
    torch.manual_seed(1)
    with_it, without_it, target = torch.randint(0, 3, (3, 20))
    marked, everybody = torch.arange(20) < 7, torch.ones(20, dtype=torch.bool)
    metric = AccuracyUnderIntervention()
    for part in (slice(0, 5), slice(5, 20)):  # sorted by presence: the share is known at the end only
        for present, predictions in ((True, with_it), (False, without_it)):
            metric.update(predictions[part], target[part], present, marked[part], everybody[part], everybody[part])
    assert metric.compute().item() == pytest.approx(accuracy_of_draws(with_it, without_it, target, marked), abs=0.01)


def test_where_all_have_the_thing_only_its_content_counts():
    metric, everybody = AccuracyUnderIntervention(), torch.ones(4, dtype=torch.bool)
    metric.update(tensor([0, 0, 1, 1]), tensor([0, 1, 1, 1]), True, everybody, everybody, everybody)
    assert metric.is_measured(metric.asked, metric.counted)
    assert metric.compute().item() == 0.75


def test_an_accuracy_of_which_a_part_was_not_measured_is_none():
    metric, everybody = AccuracyUnderIntervention(), torch.ones(4, dtype=torch.bool)
    metric.update(tensor([0, 0, 1, 1]), tensor([0, 1, 1, 1]), True, tensor([True, True, False, False]), everybody, everybody)
    assert not metric.is_measured(metric.asked, metric.counted)
    assert math.isnan(metric.compute().item())


def test_an_accuracy_of_nan_is_nan():
    metric, everybody = AccuracyUnderIntervention(), torch.ones(2, dtype=torch.bool)
    metric.update(tensor([[math.nan, 0.0], [0.0, 1.0]]), tensor([0, 1]), True, everybody, everybody, everybody)
    assert math.isnan(metric.compute().item())


@pytest.mark.parametrize(
    "call",
    [
        lambda: reliance(tensor([0, 1]), tensor([0])),
        lambda: reliance(tensor([0, 1]), tensor([0, 1]), tensor([True])),
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
        metric.update(tensor([0]), tensor([1]), tensor([True]))
    metric.update(tensor([0]), tensor([0]), tensor([True]))
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
