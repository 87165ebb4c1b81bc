"""Ross et al.'s construction, line by line."""

import pytest
import torch

from salreg.recipes.experiments import decoy

IMAGES = torch.randint(0, 256, (500, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(500) % 10


def patches(decoys):
    """The 16 pixels of each image's patch."""
    return decoys.images[decoys.annotations < 0].view(-1, 16)


def test_the_patch_is_4_by_4_in_one_of_four_corners():
    decoys = decoy.add_decoys(IMAGES, LABELS, informative=True, seed=0)
    marked = decoys.annotations < 0
    assert (marked.flatten(1).sum(1) == 16).all()
    corners = [marked[:, 0, y, x].sum().item() for y in (0, 27) for x in (0, 27)]
    assert sum(corners) == 500
    assert all(90 < count < 160 for count in corners)


def test_in_training_its_grey_is_255_minus_25_times_the_class():
    decoys = decoy.add_decoys(IMAGES, LABELS, informative=True, seed=0)
    assert torch.allclose(patches(decoys), ((255 - 25 * LABELS) / 255).view(-1, 1).expand(-1, 16))
    assert (decoys.groups == 1).all()


def test_in_testing_its_grey_is_that_of_a_random_class():
    decoys = decoy.add_decoys(IMAGES, LABELS, informative=False, seed=0)
    shown = ((255 - 255 * patches(decoys)[:, 0]) / 25).round().long()
    assert set(shown.tolist()) == set(range(10))
    assert torch.equal(decoys.groups, (shown == LABELS).long())
    assert 0.05 < decoys.groups.float().mean() < 0.16


def test_everything_else_is_the_image():
    decoys = decoy.add_decoys(IMAGES, LABELS, informative=True, seed=0)
    rest = decoys.annotations == 0
    assert torch.equal(decoys.images[rest], (IMAGES.float().unsqueeze(1) / 255)[rest])


def test_without_decoys_nothing_is_marked():
    plain = decoy.without_decoys(IMAGES, LABELS)
    assert torch.equal(plain.images, IMAGES.float().unsqueeze(1) / 255)
    assert not plain.annotations.any()


@pytest.mark.parametrize("name", ["mlp", "gelu_mlp", "deep_mlp", "cnn", "vit"])
def test_models_give_ten_logits(name):
    assert decoy.build_model(name)(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_an_unknown_model_is_named():
    with pytest.raises(ValueError, match="not 'resnet'"):
        decoy.build_model("resnet")
