"""Transforms of libraries: what is marked stays what is drawn."""

import pickle
import sys
from types import ModuleType

import kornia.augmentation as kornia
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from salreg import AnnotatedDataset
from salreg.data import Augmented

SIDE = 24


def squares(n=12):
    """Black images with a white rectangle, which is what is marked."""
    generator = torch.Generator().manual_seed(0)
    marks = torch.zeros(n, 1, SIDE, SIDE, dtype=torch.int8)
    for mark, (top, left) in zip(marks, torch.randint(6, 12, (n, 2), generator=generator).tolist(), strict=True):
        mark[:, top : top + 8, left : left + 4] = -1
    return AnnotatedDataset(TensorDataset(-marks.float().expand(-1, 3, -1, -1), torch.arange(n)), marks)


def overlap(batch):
    """Intersection over union of what is white and what is marked."""
    white, marked = batch.sample[0][:, :1] > 0.5, batch.annotation < 0
    return float((white & marked).sum() / (white | marked).sum())


def moved(transform, **options):
    torch.manual_seed(0)
    return next(iter(DataLoader(Augmented(squares(), transform=transform, **options), batch_size=12)))


@pytest.mark.parametrize(
    ("transform", "at_least"),
    [
        (kornia.RandomHorizontalFlip(p=1.0), 1.0),
        (kornia.RandomCrop((16, 16)), 1.0),
        (kornia.RandomAffine(30, translate=(0.1, 0.1), scale=(0.8, 1.2), p=1.0), 0.8),
        (kornia.AugmentationSequential(kornia.RandomVerticalFlip(p=0.5), kornia.RandomPerspective(0.3, p=1.0)), 0.8),
    ],
)
def test_kornia_moves_marks_with_their_image(transform, at_least):
    batch = moved(transform)
    assert overlap(batch) >= at_least
    assert batch.annotation.dtype == torch.int8
    assert set(batch.annotation.unique().tolist()) <= {-1, 0}
    untouched = torch.stack([squares()[index].annotation for index in range(12)])
    assert batch.annotation.shape != untouched.shape or not torch.equal(batch.annotation, untouched)


def test_colours_leave_marks_alone():
    batch = moved(kornia.ColorJitter(0.4, 0.4, 0.4, 0.1, p=1.0))
    assert torch.equal(batch.annotation, torch.stack([squares()[index].annotation for index in range(12)]))


@pytest.fixture
def torchvision(monkeypatch):
    """A stand-in: there is no build of torchvision beside a CPU build of PyTorch."""
    package, tv_tensors = ModuleType("torchvision"), ModuleType("torchvision.tv_tensors")
    tv_tensors.Image = type("Image", (torch.Tensor,), {"__new__": lambda cls, data: data.as_subclass(cls)})
    tv_tensors.Mask = type("Mask", (torch.Tensor,), {"__new__": lambda cls, data: data.as_subclass(cls)})
    package.tv_tensors = tv_tensors
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.tv_tensors", tv_tensors)
    return tv_tensors


def test_torchvision_gets_an_image_and_a_mask_and_plain_tensors_come_back(torchvision):
    class Flip:
        def __call__(self, image, mask):
            assert isinstance(image, torchvision.Image)
            assert isinstance(mask, torchvision.Mask)
            return image.flip(-1), mask.flip(-1)

    Flip.__module__ = "torchvision.transforms.v2._geometry"
    sample = Augmented(squares(), transform=Flip())[0]
    before = squares()[0]
    assert torch.equal(sample.annotation, before.annotation.flip(-1))
    assert torch.equal(sample.sample[0], before.sample[0].flip(-1))
    assert type(sample.annotation) is type(sample.sample[0]) is torch.Tensor


class Transform:
    """As torchvision.transforms.v2.Transform: the same parameters for each of the inputs, one after the other."""

    def __call__(self, *inputs):
        params = self.make_params(inputs)
        return tuple(self.transform(one, params) for one in inputs)

    def make_params(self, inputs):
        return {"moves": bool(torch.rand(()) < 0.5)}


Transform.__module__ = "torchvision.transforms.v2._transform"


class FlipBoth(Transform):
    def transform(self, inpt, params):
        return inpt.flip(-1) if params["moves"] else inpt


class FlipImages(Transform):
    def transform(self, inpt, params):
        return inpt.flip(-1) if params["moves"] and type(inpt).__name__ == "Image" else inpt


class Brighten(Transform):
    def transform(self, inpt, params):
        return 0.5 * inpt + 0.1 if type(inpt).__name__ == "Image" else inpt


def test_a_transform_of_ones_own_that_moves_both_moves_marks(torchvision):
    assert overlap(moved(FlipBoth())) == 1.0


def test_one_that_only_colours_leaves_marks_alone(torchvision):
    before, after = squares()[0], Augmented(squares(), transform=Brighten())[0]
    assert torch.equal(after.annotation, before.annotation)


def test_one_that_moves_images_alone_is_refused(torchvision):
    drawn = torch.random.get_rng_state()
    with pytest.raises(TypeError, match="FlipImages moves images but not masks"):
        Augmented(squares(), transform=FlipImages())[0]
    assert torch.equal(torch.random.get_rng_state(), drawn)


def test_the_older_transforms_are_refused(torchvision):
    class RandomFlip:
        def __call__(self, image):
            return image

    RandomFlip.__module__ = "torchvision.transforms.transforms"
    with pytest.raises(TypeError, match=r"moves only images. Use the one of that name in torchvision.transforms.v2"):
        Augmented(squares(), transform=RandomFlip())


def flipped(image, annotation):
    return image.flip(-2), annotation.flip(-2)


def test_any_function_of_both_will_do_and_it_comes_last():
    batch = moved(flipped, size=(2 * SIDE, 2 * SIDE), flip=True, crop=2)
    assert batch.sample[0].shape[-2:] == (2 * SIDE, 2 * SIDE)
    assert overlap(batch) == 1.0


def test_a_transform_that_moves_the_image_alone_is_refused():
    with pytest.raises(ValueError, match=r"sample 3 .* its image has .20, 24. after the transform"):
        Augmented(squares(), transform=lambda image, annotation: (image[:, :20], annotation))[3]


@pytest.mark.parametrize("transform", [kornia.RandomHorizontalFlip(), flipped])
def test_workers_can_have_it(transform):
    data = pickle.loads(pickle.dumps(Augmented(squares(), transform=transform)))
    assert data[0].annotation.shape == (1, SIDE, SIDE)
