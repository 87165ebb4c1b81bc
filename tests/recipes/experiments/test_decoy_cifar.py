"""CIFAR-10 with colours: how it is read, where the colours are, and that the marks move with them."""

import numpy as np
import pytest
import torch

from salreg.recipes.data import cifar
from salreg.recipes.experiments.color_mnist import COLORS
from salreg.recipes.experiments.decoy_cifar import BORDER, KINDS, PATCH, add_decoys, build
from salreg.recipes.training.config import load

IMAGES = torch.randint(0, 256, (200, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(200) % 10


def in_patch(images, marks):
    """The colour of each image where it is marked, (N, pixels, 3)."""
    return [image[:, mark[0] < 0].T for image, mark in zip(images, marks, strict=True)]


def test_in_training_the_patch_has_the_colour_of_the_class():
    decoys = add_decoys(IMAGES, LABELS, informative=True, seed=0)
    for color, label in zip(in_patch(decoys.images, decoys.annotations), LABELS.tolist(), strict=True):
        assert torch.equal(color, COLORS[label].expand(PATCH**2, 3))
    outside = (decoys.annotations == 0).expand_as(decoys.images)
    assert torch.equal(decoys.images[outside], (IMAGES.float() / 255)[outside])


def test_in_testing_it_has_that_of_a_random_class():
    decoys = add_decoys(IMAGES, LABELS, informative=False, seed=0)
    shown = torch.tensor([int((color[0] == COLORS).all(1).nonzero()) for color in in_patch(decoys.images, decoys.annotations)])
    assert torch.equal(decoys.groups, (shown == LABELS).long())
    assert 0.03 < decoys.groups.float().mean() < 0.2


def test_marks_are_shifted_and_mirrored_with_their_patches():
    train = build(load("decoy_cifar")).train.dataset
    widths = set()
    for index in range(50):
        drawn = train[index]
        image, label, _ = drawn.sample
        (color,) = in_patch([image], [drawn.annotation])
        assert torch.equal(color, COLORS[label].expand_as(color))
        widths.add(len(color))
    assert len(widths) > 5


def test_a_border_of_two_pixels_is_half_the_photo_and_half_the_colour():
    decoys = add_decoys(IMAGES, LABELS, informative=True, seed=0, kind="border")
    marked = decoys.annotations < 0
    assert (marked.flatten(1).sum(1) == 32**2 - (32 - 2 * BORDER) ** 2).all()
    assert not marked[..., BORDER:-BORDER, BORDER:-BORDER].any()
    photos = IMAGES.float() / 255
    inside = ~marked.expand_as(photos)
    assert torch.equal(decoys.images[inside], photos[inside])
    expected = (photos + COLORS[LABELS].view(-1, 3, 1, 1)) / 2
    difference = (decoys.images - expected)[~inside]
    assert difference.abs().mean() < 0.1
    assert difference.std() > 0.05  # the noise


def test_a_half_is_the_colour_and_the_photo_is_squeezed_beside_it():
    decoys = add_decoys(IMAGES, LABELS, informative=True, seed=0, kind="half")
    assert (decoys.annotations[..., 16:] == -1).all()
    assert (decoys.annotations[..., :16] == 0).all()
    shown = decoys.images[..., 16:].mean((2, 3))
    assert (shown - COLORS[LABELS]).abs().max() < 0.05
    assert decoys.images[..., 16:].std((2, 3)).min() > 0.01
    rows = (IMAGES.float() / 255).mean(3)  # squeezing across keeps the mean of a row
    assert torch.allclose(decoys.images[..., :16].mean(3), rows, atol=0.05)


@pytest.mark.parametrize("kind", ["border", "half"])
def test_every_kind_has_a_random_colour_in_testing(kind):
    decoys = add_decoys(torch.zeros_like(IMAGES), LABELS, informative=False, seed=0, kind=kind)
    shown = torch.cdist(decoys.images[..., -1, -2:].mean(2), COLORS * KINDS[kind].opacity).argmin(1)
    assert 0.03 < (shown == LABELS).float().mean() < 0.2
    assert ((shown == LABELS) == decoys.groups.bool()).float().mean() > 0.9


def test_a_border_is_not_pushed_out_of_the_image():
    train = build(load("decoy_cifar", ["data.kind=border"])).train.dataset
    assert train.crop == 0
    assert build(load("decoy_cifar")).train.dataset.crop == 4
    assert build(load("decoy_cifar", ["data.kind=border", "data.crop=1"])).train.dataset.crop == 1


def test_the_reference_of_a_half_is_the_squeezed_photo_beside_grey():
    drawn = build(load("decoy_cifar", ["data.kind=half", "data.decoy=false"])).test.dataset[3]
    with_color = build(load("decoy_cifar", ["data.kind=half"])).test.dataset[3]
    assert (drawn.sample[0][..., 16:] == 0.5).all()
    assert torch.equal(drawn.sample[0][..., :16], with_color.sample[0][..., :16])


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match="data.kind must be corner, border or half, not 'frame'"):
        build(load("decoy_cifar", ["data.kind=frame"]))


def test_a_random_colour_in_training_tells_nothing():
    train = build(load("decoy_cifar", ["data.train_color=random", "data.flip=false", "data.crop=0"])).train.dataset
    samples = [train[i] for i in range(200)]
    colors = [in_patch([one.sample[0]], [one.annotation])[0][0] for one in samples]
    agree = [torch.equal(color, COLORS[one.sample[1]]) for color, one in zip(colors, samples, strict=True)]
    assert 0.02 < sum(agree) / len(agree) < 0.25
    assert agree == [one.sample[2] == 1 for one in samples]
    with pytest.raises(ValueError, match="data.train_color must be class or random, not 'rand' .did you mean 'random'"):
        build(load("decoy_cifar", ["data.train_color=rand"]))


def test_without_decoys_images_are_as_they_were_and_training_has_no_marks():
    experiment = build(load("decoy_cifar", ["data.decoy=false"]))
    raw = cifar.made_images()
    assert torch.equal(experiment.test.dataset[3].sample[0], raw.test_images[3].float() / 255)
    assert not any(experiment.train.dataset[i].annotation.any() for i in range(20))
    assert experiment.test.dataset[3].annotation.any()  # where the patch would be


def test_the_binary_version_and_the_archives_hold_the_same(tmp_path):
    records = torch.cat([LABELS[:, None].to(torch.uint8), IMAGES.flatten(1)], 1).numpy()
    (tmp_path / "cifar-10-batches-bin").mkdir()
    for name in (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"):
        records.tofile(tmp_path / "cifar-10-batches-bin" / name)
    binary = cifar.load(tmp_path)
    assert binary.train_images.shape == (1000, 3, 32, 32)
    assert torch.equal(binary.test_images, IMAGES)
    assert torch.equal(binary.test_labels, LABELS)
    for name in ("train", "test"):
        np.savez(tmp_path / f"{name}.npz", images=IMAGES.permute(0, 2, 3, 1).numpy(), labels=LABELS.numpy())
    archives = cifar.load(tmp_path)
    assert torch.equal(archives.test_images, IMAGES)


def test_what_is_no_cifar_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="Point data.root at the unpacked cifar-10-binary"):
        cifar.load(tmp_path)
    for name in (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"):
        (tmp_path / name).write_bytes(b"\x00" * 3072)
    with pytest.raises(ValueError, match=r"data_batch_1.bin does not hold records"):
        cifar.load(tmp_path)
    for name in ("train", "test"):
        np.savez(tmp_path / f"{name}.npz", images=np.zeros((2, 28, 28)), labels=np.zeros(2))
    with pytest.raises(ValueError, match=r"train.npz holds images \(2, 28, 28\)"):
        cifar.load(tmp_path)


def test_pickles_are_not_loaded(tmp_path):
    for name in ("train", "test"):
        np.savez(tmp_path / f"{name}.npz", images=np.array([{}], dtype=object), labels=np.zeros(1))
    with pytest.raises(ValueError, match="allow_pickle"):
        cifar.load(tmp_path)


def test_an_unknown_network_is_named():
    with pytest.raises(ValueError, match="resnet, vit, timm/NAME or transformers/NAME, not 'vgg'"):
        build(load("decoy_cifar", ["model=vgg"]))
