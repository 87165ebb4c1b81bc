"""After an intervention, what is marked tells nothing of the label; nothing else changes."""

import pytest
import torch
from torch.nn.functional import one_hot

from salreg.interventions import Intervention
from salreg.interventions.donors import ENOUGH

SIZE = 256


def tagged(rates, size=SIZE, seed=0):
    """Images in noise, of which those of class y carry a tag with probability ``rates[y]``: its grey tells the class, too."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(size) % len(rates)
    has = torch.rand(size, generator=generator) < torch.tensor(rates)[labels]
    images = 0.1 * torch.rand(size, 1, 8, 8, generator=generator)
    marks = torch.zeros(size, 1, 8, 8, dtype=torch.int8)
    for image, mark, row, column, label in zip(
        images, marks, *torch.randint(6, (2, size), generator=generator), labels, strict=True
    ):
        mark[:, row : row + 2, column : column + 2] = -1
        image[mark < 0] = 2.0 + label
    marks[~has] = 0
    images[~has] = images[~has].clamp(max=0.1)
    return images, labels, marks, has


def table(one, other, classes=2):
    """How often two things meet."""
    return one_hot(one.long(), classes).T.float() @ one_hot(other.long(), classes).float() / len(one)


def test_the_content_no_longer_tells_the_class():
    images, labels, marks, _ = tagged([1.0, 1.0])
    changed = Intervention()(images, marks)
    shown = (changed.sample.amax((1, 2, 3)) > 2.5).long()
    assert (images.amax((1, 2, 3)) > 2.5).long().equal(labels)
    assert (table(shown, labels) - 0.25).abs().max() < 0.05
    assert changed.annotation is marks
    assert torch.equal(changed.sample[marks == 0], images[marks == 0])


def test_nor_does_the_presence():
    images, labels, marks, has = tagged([0.05, 0.95])
    changed = Intervention()(images, marks, torch.ones(SIZE, dtype=torch.bool))
    there = (changed.annotation < 0).flatten(1).any(1)
    before, after = table(has, labels), table(there, labels)
    assert before[1, 1] > 0.45
    assert before[1, 0] < 0.05
    assert (after[1, 0] - after[1, 1]).abs() < 0.07
    assert (after[1].sum() - has.float().mean()).abs() < 0.1
    assert torch.equal(there, changed.sample.amax((1, 2, 3)) > 1.5)


def test_samples_that_nobody_looked_at_stay_as_they_are():
    images, _, marks, has = tagged([0.3, 0.7])
    looked_at = torch.arange(SIZE) < SIZE // 2
    marks[~looked_at] = 0
    changed = Intervention()(images, marks, looked_at)
    assert torch.equal(changed.sample[~looked_at], images[~looked_at])
    assert torch.equal(changed.annotation[~looked_at], marks[~looked_at])
    assert torch.equal(changed.changed, looked_at)
    assert has[~looked_at].any()


@pytest.mark.parametrize("presence", [0.0, 0.3, 1.0])
def test_the_presence_may_be_given(presence):
    images, _, marks, _ = tagged([0.5, 0.5])
    changed = Intervention(presence)(images, marks, torch.ones(SIZE, dtype=torch.bool))
    there = (changed.annotation < 0).flatten(1).any(1)
    assert abs(float(there.float().mean()) - presence) < 0.1


def test_a_batch_without_marks_or_donors_is_the_batch_itself():
    batch = (torch.rand(4, 3, 8, 8), torch.arange(4))
    changed = Intervention()(batch, torch.zeros(4, 1, 8, 8), torch.ones(4, dtype=torch.bool))
    assert changed.sample is batch
    assert not changed.changed.any()


def test_nothing_is_put_over_a_relevant_mark():
    images, _, marks, _ = tagged([0.0, 1.0])
    marks[(marks == 0).flatten(1).all(1), :, :, 4:] = 1
    changed = Intervention(1.0)(images, marks, torch.ones(SIZE, dtype=torch.bool))
    kept = marks > 0
    assert torch.equal(changed.sample[kept], images[kept])
    assert torch.equal(changed.annotation[kept], marks[kept])


def test_a_filled_region_holds_nothing_that_was_not_around_it():
    images, _, marks, _ = tagged([1.0, 1.0])
    for fill in ("diffusion", "mean", "mirror"):
        changed = Intervention(0.0, fill)(images, marks)
        assert changed.sample.max() <= 0.1 + 1e-6, fill
        assert not changed.annotation.any()


def test_rare_marks_find_donors_in_earlier_batches():
    intervention = Intervention()
    images, _, marks, _ = tagged([1.0, 1.0], size=32)
    shown = []
    for index in range(32):
        one = torch.zeros_like(marks)
        one[index] = marks[index]
        shown.append(round(float(intervention(images, one).sample[index].max())))
    assert shown[0] == 0  # there was no donor yet: filled
    assert set(shown[1:]) == {2, 3}


def test_the_only_marked_sample_of_all_is_filled():
    images, _, marks, _ = tagged([1.0, 1.0], size=4)
    marks[1:] = 0
    intervention = Intervention()
    for _ in range(3):  # its own earlier self is no donor either
        changed = intervention(images, marks)
        assert changed.sample[0].max() <= 0.1 + 1e-6


def test_soft_marks_mix():
    images, marks = torch.tensor([0.0, 1.0]).view(2, 1, 1).expand(2, 1, 4).clone(), torch.zeros(2, 1, 4)
    marks[:, :, :2] = -0.5
    changed = Intervention()(images, marks)
    assert changed.sample.flatten(1).tolist() == [[0.5, 0.5, 0, 0], [0.5, 0.5, 1, 1]]


@pytest.mark.parametrize("shape", [(20,), (9, 11), (5, 6, 7)])
@pytest.mark.parametrize("channels", [1, 3])
def test_series_images_and_volumes(shape, channels):
    generator = torch.Generator().manual_seed(0)
    inputs, marks = torch.rand(40, channels, *shape, generator=generator), torch.zeros(40, 1, *shape)
    inside = (slice(None), slice(None), *(slice(1, 3) for _ in shape))
    marks[inside] = -1
    marks[::2] = 0
    changed = Intervention()(inputs, marks, torch.ones(40, dtype=torch.bool))
    assert torch.equal(changed.sample[(marks == 0).all(0).expand(40, channels, *shape)],
                       inputs[(marks == 0).all(0).expand(40, channels, *shape)])  # fmt: skip
    assert not torch.equal(changed.sample, inputs)


def test_irregular_regions_of_several_sizes_bring_nothing_else_of_the_donor():
    """Regions hold values above 10, everything else is below 1."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(64, 2, 12, 12, generator=generator)
    marks = torch.zeros(64, 1, 12, 12, dtype=torch.int8)
    rows, columns = torch.meshgrid(torch.arange(12), torch.arange(12), indexing="ij")
    for index in range(64):
        row, column, radius = 3 + index % 6, 3 + index % 5, 1 + index % 3
        disc = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        disc |= (rows == 11) & (columns == index % 12)  # a second region
        marks[index, 0, disc] = -1
        images[index, :, disc] += 10
    changed = Intervention()(images, marks).sample
    inside = (marks < 0).expand_as(images)
    assert changed[inside].min() >= 10 - 1e-4
    assert torch.equal(changed[~inside], images[~inside])


def test_what_covers_everything_is_exchanged_as_a_whole_or_filled_with_its_mean():
    images, marks = torch.rand(3, 1, 4, 4), -torch.ones(3, 1, 4, 4)
    whole = Intervention()(images, marks).sample
    assert all(any(torch.equal(one, other) for other in images) for one in whole)
    assert torch.allclose(Intervention(0.0)(images, marks).sample, images.mean((2, 3), keepdim=True).expand_as(images))


def test_a_batch_of_one_takes_its_donor_from_the_bank():
    images, _, marks, _ = tagged([1.0, 1.0], size=2)
    intervention = Intervention()
    intervention(images[:1], marks[:1])
    changed = intervention(images[1:], marks[1:]).sample
    assert changed[marks[1:] < 0].unique().tolist() == [2.0]


def test_one_donor_in_the_bank_is_not_all_that_was_ever_seen():
    images, _, marks, _ = tagged([1.0, 1.0], size=33)
    intervention = Intervention()
    for batch in (slice(32), slice(32, 33)):  # the first batch has donors enough, and leaves the bank empty
        intervention(images[batch], marks[batch])
    assert not intervention.has_one_donor
    alone = Intervention()
    alone(images[:1], marks[:1])
    assert alone.has_one_donor


def test_columns_are_permuted_between_rows_and_groups_stay_together():
    rows = torch.arange(60.0).view(20, 3)
    marks = torch.tensor([[0, -1, -1]]).expand(20, 3)
    changed = Intervention()(rows, marks)
    assert torch.equal(changed.sample[:, 0], rows[:, 0])
    assert (changed.sample[:, 1] != rows[:, 1]).all()
    assert torch.equal(changed.sample[:, 2] - changed.sample[:, 1], torch.ones(20))


def test_each_marked_row_of_a_table_gets_the_columns_of_another_and_never_a_nan_beside_them():
    rows = torch.stack([torch.arange(5.0), 10 + torch.arange(5.0)], 1)
    rows[4, 1] = torch.nan
    marks = torch.tensor([[0, 0], [-1, 0], [-1, 0], [-1, 0], [-1, 0]])
    for seed in range(10):
        changed = Intervention(seed=seed)(rows, marks).sample
        assert changed[0].tolist() == [0, 10]
        assert set(changed[1:, 0].tolist()) <= {1.0, 2.0, 3.0, 4.0}
        assert (changed[1:, 0] != rows[1:, 0]).all()
        assert torch.equal(changed[:4, 1], rows[:4, 1])


def test_the_draws_are_its_own_and_an_interrupted_one_goes_on_as_if_it_had_not_been():
    images, _, marks, _ = tagged([0.2, 0.9], size=24)
    looked_at = torch.ones(24, dtype=torch.bool)
    state = torch.random.get_rng_state()
    first, second = Intervention(seed=1), Intervention(seed=2)
    first(images[:12], marks[:12], looked_at[:12])
    second.load_state_dict(first.state_dict())
    one, other = (each(images[12:], marks[12:], looked_at[12:]) for each in (first, second))
    assert torch.equal(one.sample, other.sample)
    assert torch.equal(one.annotation, other.annotation)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_nan_outside_of_the_region_stays_there():
    images, _, marks, _ = tagged([1.0, 1.0], size=16)
    images[0, 0, 0, 0] = torch.nan
    marks[0, :, 0, 0] = 0
    changed = Intervention()(images, marks).sample
    assert changed.isnan().sum() == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"presence": 1.5}, "presence must be a number in \\[0, 1\\], or None, not 1.5"),
        ({"presence": float("nan")}, "presence must be a number"),
        ({"fill": "blurr"}, "not 'blurr'.*did you mean 'blur'"),
        ({"bank": 0}, "bank must be a whole number of at least 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Intervention(**arguments)


def test_inputs_that_cannot_be_changed_are_named_with_the_remedy():
    mark = torch.zeros(2, 1, 4, 4)
    mark[:, :, :2] = -1
    with pytest.raises(ValueError, match=r"holds integers \(torch.uint8.*Convert it to float.*intervene=False"):
        Intervention()(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), mark)
    with pytest.raises(ValueError, match=r"fit no input of the batch, which has \(2, 3, 5, 5\) float32.*intervene=False"):
        Intervention()((torch.rand(2, 3, 5, 5), [1, 2]), mark)


def test_the_first_of_the_tensors_that_an_annotation_fits_is_taken_unless_another_is_named():
    mark = torch.zeros(4, 1, 4, 4)
    mark[:, :, :2] = -1
    one, other = torch.rand(4, 3, 4, 4), torch.rand(4, 1, 4, 4)
    with pytest.warns(UserWarning, match=r"fit 2 tensors of the batch; the first one, input of shape \(3, 4, 4\), is changed"):
        first, second = Intervention()((one, other), mark).sample
    assert not torch.equal(first, one)
    assert second is other
    first, second = Intervention()((one, other), mark, given=other).sample
    assert first is one
    assert not torch.equal(second, other)


def test_the_memory_format_and_precision_do_not_matter():
    images, _, marks, _ = tagged([0.5, 0.5], size=32)
    looked_at = torch.ones(32, dtype=torch.bool)
    expected = Intervention()(images, marks, looked_at).sample
    last = Intervention()(images.contiguous(memory_format=torch.channels_last), marks, looked_at).sample
    double = Intervention()(images.double(), marks, looked_at).sample
    assert torch.equal(last, expected)
    assert torch.allclose(double.float(), expected, atol=1e-6)
    assert Intervention()(images.bfloat16(), marks, looked_at).sample.dtype == torch.bfloat16


def test_without_any_donor_the_feature_can_be_taken_away_but_not_given():
    images, clean = torch.rand(3, 1, 6, 6), torch.zeros(3, 1, 6, 6)
    looked_at = torch.tensor([True, True, False])
    for present, done in ((True, [False, False, False]), (False, [True, True, False])):
        made = Intervention().with_presence(present, images, clean, looked_at)
        assert made.done.tolist() == done
        assert torch.equal(made.sample, images)


def test_a_single_donor_has_nothing_to_exchange_but_is_given_to_others():
    images, marks = torch.rand(3, 1, 6, 6), torch.zeros(3, 1, 6, 6)
    marks[1, :, :2, :2] = -1
    made = Intervention().with_presence(True, images, marks, torch.tensor([True, True, False]))
    assert made.done.tolist() == [True, False, False]
    assert torch.equal(made.sample[0, :, :2, :2], images[1, :, :2, :2])
    assert torch.equal(made.sample[2], images[2])


def test_a_sample_without_the_feature_is_given_that_of_any_donor():
    images, marks = torch.rand(4, 1, 6, 6), torch.zeros(4, 1, 6, 6)
    marks[1:, :, :2, :2] = -1
    everybody = torch.ones(4, dtype=torch.bool)
    given = set()
    for seed in range(30):
        made = Intervention(seed=seed).with_presence(True, images, marks, everybody)
        assert not torch.equal(made.sample[1, :, :2, :2], images[1, :, :2, :2])
        given |= {number for number in (1, 2, 3) if torch.equal(made.sample[0, :, :2, :2], images[number, :, :2, :2])}
    assert given == {1, 2, 3}


def with_a_mark(side, seed, region=None):
    """Two images, of which the first has a marked region."""
    images, marks = torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(seed)), torch.zeros(2, 1, side, side)
    marks[0, :, :2, :2] = -1
    if region is not None:
        images[0, :, :2, :2] = region
    return images, marks


def test_a_donor_is_known_again_by_its_region_whatever_surrounds_it():
    region = torch.tensor([[0.2, 0.9], [0.7, 0.4]])
    intervention = Intervention()
    for seed in (0, 1):
        images, marks = with_a_mark(6, seed, region)
        made = intervention.with_presence(True, images, marks)
        assert made.done.tolist() == [False, False]  # it is the only one
    images, marks = with_a_mark(6, 2)
    made = intervention.with_presence(True, images, marks)
    assert torch.equal(made.sample[0, 0, :2, :2], region)


@pytest.mark.parametrize("sides", [(8, 6), (6, 8)])
def test_donors_of_another_size_are_left_aside(sides):
    intervention = Intervention()
    for seed, side in enumerate(sides):
        images, marks = with_a_mark(side, seed)
        assert intervention.with_presence(True, images, marks).done.tolist() == [False, False]
    images, marks = with_a_mark(sides[1], 2)
    assert intervention.with_presence(True, images, marks).done.tolist() == [True, False]


@pytest.mark.parametrize(("marked", "kept"), [(ENOUGH - 1, [8, 16]), (ENOUGH, [8, 8]), (ENOUGH + 1, [8, 8])])
def test_the_donors_of_a_large_batch_are_enough_once_there_are_some_for_a_batch_without_any(marked, kept):
    marks = torch.zeros(ENOUGH + 1, 1, 4, 4)
    marks[:marked, :, :2, :2] = -1
    intervention, numbers = Intervention(), []
    for _ in kept:
        intervention(torch.rand(ENOUGH + 1, 1, 4, 4), marks)
        numbers.append(len(intervention.state_dict()["bank"]["donors"]))
    assert numbers == kept
