"""Marks that are wrong on purpose."""

import pytest
import torch
from torch.utils.data import TensorDataset

from salreg.annotations import NO_PLACE
from salreg.data import AnnotatedDataset
from salreg.recipes.data.controls import CONTROLS, brought_to, controlled, moved
from salreg.recipes.training.config import ConfigError, assign, load
from salreg.recipes.training.controls import ARMS, add_arms
from salreg.recipes.training.run import build

SIZE = 40


def images():
    """Each with a 3 x 2 mark of its own."""
    generator = torch.Generator().manual_seed(0)
    marks = torch.zeros(SIZE, 1, 8, 8, dtype=torch.int8)
    for mark in marks:
        top, left = torch.randint(6, (2,), generator=generator).tolist()
        mark[:, top : top + 3, left : left + 2] = -1
    return AnnotatedDataset(TensorDataset(torch.rand(SIZE, 3, 8, 8), torch.arange(SIZE)), marks)


def test_no_control_changes_nothing():
    dataset = images()
    assert controlled(dataset, None, seed=0) is dataset


def test_random_places_are_other_places_of_the_same_shape():
    dataset = images()
    wrong = controlled(dataset, "random places", seed=0)
    for number in range(SIZE):
        right, found = dataset[number].annotation, wrong[number].annotation
        assert not torch.equal(found, right)
        rolled = [right.roll((down, across), (-2, -1)) for down in range(8) for across in range(8)]
        assert any(torch.equal(found, one) for one in rolled)
    centres = [(wrong[number].annotation[0] < 0).float().argmax().item() for number in range(SIZE)]
    assert len(set(centres)) > 10


def test_other_samples_give_each_of_their_marks_once():
    dataset = images()
    dataset.annotations = torch.full((SIZE, 1, 8, 8), 0.0) - torch.arange(1, SIZE + 1).view(-1, 1, 1, 1) / SIZE
    wrong = controlled(dataset, "other samples", seed=0)
    given = [round(-float(wrong[number].annotation[0, 0, 0]) * SIZE) - 1 for number in range(SIZE)]
    assert sorted(given) == list(range(SIZE))
    assert all(number != source for number, source in enumerate(given))


def test_everything_is_marked_on_every_sample():
    dataset = images()
    dataset.annotations = {0: dataset.annotations[0]}
    wrong = controlled(dataset, "everything", seed=0)
    assert all((wrong[number].annotation == -1).all() and wrong[number].looked_at for number in range(SIZE))


@pytest.mark.parametrize("control", CONTROLS)
def test_a_seed_draws_the_same_marks_and_samples_stay_as_they_are(control):
    dataset = images()
    first, again, another = (controlled(dataset, control, seed) for seed in (0, 0, 1))
    same = [torch.equal(first[number].annotation, again[number].annotation) for number in range(SIZE)]
    assert all(same)
    assert all(torch.equal(first[number].sample[0], dataset[number].sample[0]) for number in range(SIZE))
    if control != "everything":
        assert not all(torch.equal(first[number].annotation, another[number].annotation) for number in range(SIZE))


@pytest.mark.parametrize("control", ["random places", "other samples"])
def test_what_nobody_looked_at_or_is_empty_stays_so(control):
    dataset = images()
    dataset.annotations = {number: torch.zeros(1, 8, 8) for number in range(0, SIZE, 2)}
    wrong = controlled(dataset, control, seed=0)
    looked = [wrong[number].looked_at for number in range(SIZE)]
    assert sum(looked) == SIZE // 2
    assert not any(wrong[number].annotation.any() for number in range(SIZE))


def test_in_a_text_another_word_is_marked_and_padding_never():
    annotation = torch.tensor([NO_PLACE, 0, -1, 0, 0, NO_PLACE], dtype=torch.int8)
    found = {tuple(moved(annotation, torch.Generator().manual_seed(seed)).tolist()) for seed in range(30)}
    assert found == {
        (NO_PLACE, -1, 0, 0, 0, NO_PLACE),
        (NO_PLACE, 0, 0, -1, 0, NO_PLACE),
        (NO_PLACE, 0, 0, 0, -1, NO_PLACE),
    }


def test_marks_of_a_longer_or_shorter_text_keep_their_share_of_the_way():
    long = torch.tensor([0, 0, 0, 0, 0, 0, 0, -1], dtype=torch.int8)
    short = torch.zeros(4, dtype=torch.int8)
    assert brought_to(short, long).tolist() == [0, 0, 0, -1]
    assert brought_to(long, torch.tensor([0, 0, -1, 0], dtype=torch.int8)).tolist() == [0, 0, 0, 0, -1, 0, 0, 0]
    assert brought_to(torch.tensor([NO_PLACE, 0, 0]), torch.tensor([-1, 0, 0, 0])).tolist() == [NO_PLACE, -1, 0]


def test_marks_of_an_image_of_another_size_are_resized():
    marks = torch.zeros(1, 4, 4)
    marks[:, :2, :2] = -1
    found = brought_to(torch.zeros(1, 8, 8), marks)
    assert found.shape == (1, 8, 8)
    assert (found[:, :4, :4] == -1).all()
    assert found.sum() == -16


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="did you mean 'everything'"):
        controlled(images(), "everthing", seed=0)


def test_the_arms_change_the_regularised_one():
    config = load("decoy_digits")
    config.arms["regularised"] = {"regularizer.weight": 7}
    add_arms(config)
    assert list(config.arms)[-len(ARMS) :] == list(ARMS)
    assert dict(config.arms["everything marked"]) == {"regularizer.weight": 7, "data.control": "everything"}


@pytest.mark.parametrize("recipe", ["decoy_digits", "decoy_cifar", "hospital_tag", "sst_decoy", "waterbirds"])
def test_every_arm_can_be_built(recipe):
    plain = build(load(recipe)).train.dataset
    for arm in ("marks at random places", "marks of other samples", "everything marked", "a tenth of the marks"):
        config = load(recipe)
        for key, value in ARMS[arm].items():
            assign(config, key, value)
        train = build(config).train.dataset
        looked = [bool(train[number].looked_at) for number in range(len(train))]
        assert sum(looked) == (round(len(train) * 0.1) if arm == "a tenth of the marks" else len(train))
        torch.manual_seed(0)
        changed = [train[number] for number in range(5)]
        torch.manual_seed(0)
        assert all(torch.equal(one.sample[0], plain[number].sample[0]) for number, one in enumerate(changed))


def test_a_recipe_without_such_data_is_named_with_those_that_have_it():
    with pytest.raises(ConfigError, match=r"compas has no data.control, data.marked.*These have: decoy_cifar, .*hospital_tag"):
        add_arms(load("compas"))
