"""From some marked samples to the rest."""

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from salreg.data import AnnotatedDataset
from salreg.propagation import PropagationError, propagate
from salreg.propagation.influence import influence

SIDE, SEEN = 12, 18


def tags(n=60, side=SIDE, seed=0):
    """Noise with a bright square of 3 x 3 somewhere in the upper rows of two of three images, and its annotation."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(n, 3, side, side, generator=generator) * 0.6
    annotations = torch.zeros(n, 1, side, side, dtype=torch.int8)
    for number, column in enumerate(torch.randint(side - 2, (n,), generator=generator).tolist()):
        if number % 3:
            images[number, :, 1:4, column : column + 3] = torch.tensor([1.0, 0.9, 0.1]).view(3, 1, 1)
            annotations[number, :, 1:4, column : column + 3] = -1
    return images, annotations


def looked_at(images, annotations, seen=range(SEEN)):
    return AnnotatedDataset(TensorDataset(images, torch.zeros(len(images))), {index: annotations[index] for index in seen})


@pytest.fixture(scope="module")
def found():
    torch.set_num_threads(1)
    images, annotations = tags()
    return propagate(looked_at(images, annotations), steps=25, progress=False), annotations


def iou(annotations, truth, chosen):
    marks = torch.stack([annotations[index] < 0 for index in chosen])
    truth = torch.stack([truth[index] < 0 for index in chosen])
    return float((marks & truth).sum() / (marks | truth).sum())


def test_the_rest_is_marked_and_what_a_person_said_stays(found):
    carried, truth = found
    assert len(carried.annotations) == 60
    assert iou(carried.annotations, truth, range(SEEN, 60)) > 0.8
    assert all(torch.equal(carried.annotations[index], truth[index]) for index in range(SEEN))
    assert carried.looked_at == list(range(SEEN))


def test_where_all_but_a_small_thing_is_marked_the_thing_stays_unmarked():
    images, annotations = tags()
    things = [index for index in range(60) if index % 3]
    around = torch.where(annotations < 0, 0, -1).to(torch.int8)[things]
    carried = propagate(looked_at(images[things], around, range(12)), steps=40, progress=False)
    rest, truth = ([torch.where(one < 0, 0, -1) for one in some] for some in (carried.annotations, around))
    assert iou(rest, truth, range(12, 40)) > 0.7
    assert carried.quality.iou == pytest.approx(iou(rest, truth, range(12, 40)), abs=0.2)


def test_marks_that_cover_everything_are_carried_over_as_such():
    images, _ = tags(12)
    everywhere = -torch.ones(12, 1, SIDE, SIDE, dtype=torch.int8)
    carried = propagate(looked_at(images, everywhere, range(6)), steps=20, progress=False)
    assert all(bool((carried.annotations[index] < 0).all()) for index in range(12))


def test_a_sample_on_which_nothing_is_found_counts_as_looked_at(found):
    carried, _ = found
    images, _ = tags()
    dataset = AnnotatedDataset(TensorDataset(images), carried.annotations)
    clean = [index for index in range(SEEN, 60, 3) if not dataset[index].annotation.any()]
    assert len(clean) > 10  # of 14
    assert dataset[clean[0]].looked_at is True
    assert dataset[clean[0]].annotation.dtype == torch.int8


def test_the_quality_that_is_told_is_that_of_the_rest(found):
    carried, truth = found
    quality = carried.quality
    assert (quality.marked, quality.clean) == (12, 6)
    assert quality.iou == pytest.approx(iou(carried.annotations, truth, range(SEEN, 60)), abs=0.15)
    assert quality.iou <= min(quality.precision, quality.recall)
    assert f"IoU {quality.iou:.2f}" in str(quality)
    assert f"on {quality.invented} of 6 samples that have nothing spurious" in str(quality)


def test_what_to_look_at_next_are_all_others_the_least_certain_first(found):
    carried, _ = found
    assert sorted(carried.look_at_next) == list(range(SEEN, 60))
    uncertainties = [carried.uncertainty[index] for index in carried.look_at_next]
    assert uncertainties == sorted(uncertainties, reverse=True)
    assert uncertainties[0] > 0


def test_the_same_seed_gives_the_same_marks_and_leaves_the_random_state_alone():
    images, annotations = tags(40)
    before = torch.get_rng_state()
    first, second = (
        propagate(looked_at(images, annotations), steps=5, least_quality=0, progress=False).annotations.probabilities
        for _ in range(2)
    )
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_images_of_several_sizes_get_masks_of_their_own_size():
    images, annotations = tags()
    large = nn.functional.interpolate(images, (36, 24), mode="nearest")
    marks = nn.functional.interpolate(annotations.float(), (36, 24), mode="nearest").to(torch.int8)
    mixed = [(large[index] if index % 2 else images[index], 0) for index in range(60)]
    truth = [marks[index] if index % 2 else annotations[index] for index in range(60)]
    carried = propagate(AnnotatedDataset(mixed, dict(enumerate(truth[:30]))), side=24, steps=24, progress=False)
    assert [tuple(one.shape) for one in carried.annotations[30:32]] == [(1, 12, 12), (1, 36, 24)]
    shares = [
        float(((a < 0) & (b < 0)).sum() / ((a < 0) | (b < 0)).sum())
        for a, b in zip(carried.annotations[30:], truth[30:], strict=True)
        if (b < 0).any()
    ]
    assert sum(shares) / len(shares) > 0.6


def test_relevant_marks_stay_with_their_sample_and_teach_nothing():
    images, annotations = tags()
    annotations[:SEEN, :, 8:10, 8:10] = 1
    carried = propagate(looked_at(images, annotations), steps=5, least_quality=0, progress=False)
    assert (carried.annotations[0] > 0).sum() == 4
    assert all(int(one.max()) <= 0 for one in carried.annotations[SEEN:])
    assert carried.quality.clean == 6  # those with a relevant mark alone


class YellowOnTheLeft(nn.Module):
    def forward(self, x):
        left = (x[:, :1, :, :6] - x[:, 2:, :, :6]).clamp(min=0).mean((1, 2, 3))
        return torch.stack([20 * left, torch.zeros_like(left)], 1)


def test_influence_is_how_much_a_prediction_changes_without_the_region():
    images, annotations = tags()
    model = YellowOnTheLeft().train()
    chosen = list(range(SEEN, 60))
    change = influence(looked_at(images, annotations), annotations, chosen, model, progress=False)
    assert model.training
    on_the_left = [number for number, index in enumerate(chosen) if (annotations[index, ..., :4] < 0).any()]
    on_the_right = [number for number, index in enumerate(chosen) if not (annotations[index, ..., :6] < 0).any()]
    assert min(change[number] for number in on_the_left) > 0.01
    assert max(change[number] for number in on_the_right) == pytest.approx(0, abs=1e-6)


def test_one_logit_is_that_of_the_second_of_two_classes():
    images, annotations = tags()
    dataset, chosen = looked_at(images, annotations), list(range(SEEN, 40))
    expected = influence(dataset, annotations, chosen, YellowOnTheLeft(), progress=False)
    for one in (lambda x: YellowOnTheLeft()(x)[:, 0], lambda x: YellowOnTheLeft()(x)[:, :1]):
        assert influence(dataset, annotations, chosen, one, progress=False) == pytest.approx(expected, abs=1e-6)


def test_a_model_whose_output_is_nan_has_no_influence_to_rank_by():
    images, annotations = tags()
    with pytest.raises(ValueError, match="output for sample 19 is NaN"):
        influence(looked_at(images, annotations), annotations, [19], lambda x: x.flatten(1) * torch.nan, progress=False)


def test_samples_on_whose_region_a_model_relies_come_earlier():
    images, annotations = tags(40)
    options = {"steps": 15, "least_quality": 0, "progress": False}
    carried = propagate(looked_at(images, annotations), model=YellowOnTheLeft(), **options)
    order = carried.look_at_next
    assert set(carried.influence) == set(carried.uncertainty) == set(order) == set(range(SEEN, 40))
    ranks = [sorted(set(one.values()), reverse=True).index for one in (carried.uncertainty, carried.influence)]
    sums = [ranks[0](carried.uncertainty[index]) + ranks[1](carried.influence[index]) for index in order]
    assert sums == sorted(sums)


def test_without_clean_samples_it_is_said_that_presence_is_not_known():
    images, annotations = tags()
    marked = [index for index in range(30) if index % 3]
    carried = propagate(looked_at(images, annotations, marked), steps=5, least_quality=0, progress=False)
    assert carried.quality.clean == 0
    assert "Nobody looked at a sample without anything spurious" in str(carried.quality)
    empty = [index for index in carried.look_at_next if not carried.annotations[index].any()]
    assert all(carried.uncertainty[index] == 1 for index in empty)


def test_where_every_sample_was_looked_at_nothing_changes():
    images, annotations = tags(12)
    carried = propagate(looked_at(images, annotations, range(12)), progress=False)
    assert carried.quality is None
    assert carried.look_at_next == []
    assert all(torch.equal(one, own) for one, own in zip(carried.annotations, annotations, strict=True))


def test_marks_that_cannot_be_learned_are_refused_with_the_numbers():
    generator = torch.Generator().manual_seed(0)
    images, (_, annotations) = torch.rand(40, 3, SIDE, SIDE, generator=generator), tags(40)  # marks on nothing
    with pytest.raises(PropagationError, match=r"IoU 0\.\d\d.*below the least IoU of 0\.4, so nothing was carried over\. \w+"):
        propagate(looked_at(images, annotations), steps=5, progress=False)


def test_too_few_marks_and_what_is_no_image_are_refused():
    images, annotations = tags()
    with pytest.raises(PropagationError, match="2 of 60 samples have a spurious mark, 3 were looked at; at least 4"):
        propagate(looked_at(images, annotations, range(3)), progress=False)
    with pytest.raises(PropagationError, match="0 of 60 samples have a spurious mark.* Relevant marks are not carried over"):
        propagate(looked_at(images, -annotations), progress=False)
    with pytest.raises(TypeError, match="not a TensorDataset"):
        propagate(TensorDataset(images))
    with pytest.raises(ValueError, match="Sample 0 holds no image"):
        propagate(AnnotatedDataset(TensorDataset(torch.zeros(3, 2)), {}), progress=False)
    with pytest.raises(ValueError, match=r"annotation of sample 1 has shape \(1, 4, 4\)"):
        propagate(AnnotatedDataset(TensorDataset(images), {1: torch.zeros(1, 4, 4)}), progress=False)


@pytest.mark.parametrize(("scale", "offset"), [(65535, 0), (1e-7, 0), (1, 1e4)])
def test_images_in_any_unit_are_learned_alike(found, scale, offset):
    images, annotations = tags()
    carried = propagate(looked_at(images * scale + offset, annotations), steps=25, progress=False)
    assert carried.quality.iou == pytest.approx(found[0].quality.iou, abs=0.02)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_an_image_whose_values_are_not_finite_is_named(value):
    images, annotations = tags()
    images[41, 0, 5, 5] = value
    with pytest.raises(ValueError, match="image of sample 41 has values that are NaN or infinite"):
        propagate(looked_at(images, annotations), steps=1, progress=False)


def test_a_dataset_without_samples_is_refused():
    with pytest.raises(ValueError, match="The dataset has no sample"):
        propagate(AnnotatedDataset([], {}), progress=False)
