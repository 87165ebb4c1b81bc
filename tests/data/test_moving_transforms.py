"""A dataset that moves its pixels at random leaves the marks behind, which is said."""

import warnings

import pytest
import torch
from support import Lit, fit, fresh, images, loader, regularizer
from torch.utils.data import ConcatDataset, Dataset, Subset

from salreg.data import AnnotatedDataset, Augmented

X, Y, MARKS = images(8)


def transform(name, **held):
    return type(name, (), held)()


class Photos(Dataset):
    def __init__(self, transform=None, change=lambda x: x):
        self.transform, self.change = transform, change

    def __len__(self):
        return len(X)

    def __getitem__(self, index):
        return self.change(X[index]), Y[index]


FLIP, JITTER = transform("RandomHorizontalFlip"), transform("ColorJitter")
COMPOSED = transform("Compose", transforms=[JITTER, transform("RandomApply", transforms=[FLIP])])


@pytest.mark.parametrize(
    "base",
    [
        Photos(FLIP),
        Photos(COMPOSED),
        Photos(torch.nn.Sequential(torch.nn.Identity(), type("RandomAffine", (torch.nn.Module,), {})())),
        Subset(Photos(FLIP), range(8)),
        ConcatDataset([Subset(Photos(), range(4)), Subset(Photos(COMPOSED), range(4))]),
        Photos(transform("RandSpatialCropd")),
        Photos(transform("ShiftScaleRotate")),
        Photos(transform("TrivialAugmentWide")),
    ],
)
def test_transforms_whose_names_say_it_are_named(base):
    with pytest.warns(UserWarning, match=r"move pixels at random \(R|\(Shift|\(Trivial"):
        AnnotatedDataset(base, MARKS)


@pytest.mark.parametrize(
    "base",
    [
        Photos(),
        Photos(JITTER),
        Photos(transform("Compose", transforms=[transform("Resize"), transform("CenterCrop")])),
        Photos(len),
    ],
)
def test_others_are_not(base):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AnnotatedDataset(base, MARKS)


def flipped(x):
    return x.flip(2) if torch.rand(()) < 0.5 else x


@pytest.mark.parametrize("options", [{"intervene": True, "weight": 0}, {"weight": 1.0}])
def test_a_training_says_that_its_images_are_flipped(options):
    data = AnnotatedDataset(Subset(Photos(change=flipped), range(8)), MARKS)
    with pytest.warns(UserWarning, match=r"flips or turns an image each time that it is read.*Augmented"):
        fit(fresh(), regularizer(**options), data=loader(data), epochs=1)


@pytest.mark.parametrize("change", [lambda x: x + 0.1 * torch.rand_like(x), lambda x: x])
def test_it_says_nothing_of_noise_and_the_training_draws_what_it_would_have_drawn(change, recwarn):
    trained = []
    for data in (AnnotatedDataset(Photos(change=change), MARKS), Augmented(AnnotatedDataset(Photos(change=change), MARKS))):
        module = fresh(Lit)
        fit(module, regularizer(weight=1.0), data=loader(data), epochs=1)
        trained.append([one.clone() for one in module.parameters()])
    assert not [one for one in recwarn if "flips or turns" in str(one.message)]
    assert all(torch.equal(one, other) for one, other in zip(*trained, strict=True))


def test_an_idle_callback_reads_no_sample_again():
    read = []

    def counted(x):
        read.append(x)
        return x

    fit(fresh(), regularizer(weight=0), data=loader(AnnotatedDataset(Photos(change=counted), MARKS)), epochs=1)
    assert len(read) == len(X)
