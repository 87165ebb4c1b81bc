"""Photos with a tag: who gets one, where, and what is marked."""

import pytest
import torch

from salreg.recipes.data import cifar, made_photos
from salreg.recipes.experiments.hospital_tag import GROUPS, TAG, add_tags, build, of_two_kinds
from salreg.recipes.training.config import load

IMAGES = torch.randint(0, 256, (1000, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(1000) % 2


def test_cats_and_dogs_are_pets_and_deer_and_horses_are_hoofed():
    images, labels = of_two_kinds(IMAGES, torch.arange(1000) % 10)
    kept = [number for number in range(1000) if cifar.CLASSES[number % 10] in ("cat", "dog", "deer", "horse")]
    assert torch.equal(images, IMAGES[kept])
    assert labels[:4].tolist() == [0, 1, 0, 1]  # cat, deer, dog, horse


def test_each_class_gets_its_share_of_tags():
    has_tag = add_tags(IMAGES, LABELS, tagged=[0.05, 0.95], seed=0).annotations.flatten(1).any(1)
    assert 0.02 < has_tag[LABELS == 0].float().mean() < 0.08
    assert 0.92 < has_tag[LABELS == 1].float().mean() < 0.98


def test_the_mark_is_where_the_tag_is_and_the_rest_is_the_photo():
    tagged = add_tags(IMAGES, LABELS, tagged=[1, 1], seed=0)
    places = tagged.annotations < 0
    for image, place in zip(tagged.images, places, strict=True):
        assert torch.equal(image[:, place[0]].view_as(TAG), TAG)
    rest = ~places.expand_as(tagged.images)
    assert torch.equal(tagged.images[rest], (IMAGES.float() / 255)[rest])


def test_tags_are_anywhere_and_never_cut():
    places = add_tags(IMAGES, LABELS, tagged=[1, 1], seed=0).annotations < 0
    assert (places.flatten(1).sum(1) == TAG[0].numel()).all()
    assert places.any(0).float().mean() > 0.99


def test_at_test_time_the_shares_are_reversed_and_most_tags_lie():
    test = build(load("hospital_tag")).test.dataset
    lies = 0
    for number in range(len(test)):
        drawn = test[number]
        _, label, group = drawn.sample
        agrees = bool(drawn.annotation.any()) == bool(label)
        assert GROUPS[group] == ("tag agrees" if agrees else "tag lies")
        lies += not agrees
    assert 0.85 < lies / len(test) < 1


def test_a_photo_without_a_tag_was_looked_at():
    train = build(load("hospital_tag")).train.dataset
    drawn = [train[number] for number in range(50)]
    assert any(not one.annotation.any() for one in drawn)
    assert all(one.looked_at for one in drawn)


def test_groups_follow_the_class_that_has_the_tags_in_training():
    test = build(load("hospital_tag", ["data.tagged=[0.9,0.1]"])).test.dataset
    for number in range(20):
        _, label, group = test[number].sample
        agrees = bool(test[number].annotation.any()) == (label == 0)
        assert GROUPS[group] == ("tag agrees" if agrees else "tag lies")


def test_marks_are_shifted_and_mirrored_with_their_tags():
    train = build(load("hospital_tag")).train.dataset
    colors = {tuple(color) for color in TAG.flatten(1).T.tolist()}
    for number in range(50):
        drawn = train[number]
        found = drawn.sample[0][:, drawn.annotation[0] < 0]
        assert {tuple(color) for color in found.T.tolist()} <= colors


def test_without_tags_photos_are_as_they_were_and_training_has_no_marks():
    with_tags, without = (build(load("hospital_tag", [f"data.tag={tag}"])) for tag in ("true", "false"))
    images, labels = made_photos.make(made_photos.TEST, seed=1)
    for number in range(20):
        drawn = without.test.dataset[number]
        assert torch.equal(drawn.sample[0], images[number].float() / 255)
        assert torch.equal(drawn.annotation, with_tags.test.dataset[number].annotation)  # where the tag would be
        assert drawn.sample[1:] == with_tags.test.dataset[number].sample[1:]
        assert drawn.sample[1] == labels[number]
    assert not any(without.train.dataset[number].annotation.any() for number in range(20))


def test_a_part_of_the_photos_is_of_both_classes():
    train = build(load("hospital_tag", ["data.samples=120"])).train.dataset
    assert len(train) == 20
    assert {int(train[number].sample[1]) for number in range(20)} == {0, 1}


@pytest.mark.parametrize("tagged", ["[0.5]", "[0,1.5]"])
def test_impossible_shares_are_refused(tagged):
    with pytest.raises(ValueError, match=r"data.tagged must be a share in \[0, 1\] for each of the two classes"):
        build(load("hospital_tag", [f"data.tagged={tagged}"]))
