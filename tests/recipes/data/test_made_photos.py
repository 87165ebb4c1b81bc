"""Photos put together from real pieces."""

import torch

from salreg.recipes.data import made_photos


def test_photos_are_of_both_classes_and_none_is_like_another():
    images, labels = made_photos.make(24, seed=0)
    assert labels.tolist() == 12 * [0, 1]
    assert len({image.numpy().tobytes() for image in images}) == 24


def test_a_seed_gives_the_same_photos_and_another_gives_others():
    images, _ = made_photos.make.__wrapped__(4, seed=0)
    assert torch.equal(images, made_photos.make.__wrapped__(4, seed=0)[0])
    assert not torch.equal(images, made_photos.make.__wrapped__(4, seed=1)[0])


def test_a_photo_shows_its_subject_on_a_background():
    cats, cups = (made_photos.make(200, seed=0)[0][number::2].float() for number in (0, 1))
    assert (cats.mean(0) - cups.mean(0)).abs().mean() < 40  # no place or colour tells them apart by itself
    assert cats.std(0).min() > 10  # nothing stays where it was
