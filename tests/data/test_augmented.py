"""Marks move with their images."""

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from salreg import AnnotatedDataset
from salreg.data import Augmented


def squares(n=20, side=12):
    """Black images with a white rectangle, which is what is marked."""
    generator = torch.Generator().manual_seed(0)
    marks = torch.zeros(n, 1, side, side, dtype=torch.int8)
    for mark, (top, left) in zip(marks, torch.randint(2, 7, (n, 2), generator=generator).tolist(), strict=True):
        mark[:, top : top + 4, left : left + 2] = -1
    return AnnotatedDataset(TensorDataset(-marks.float().expand(-1, 3, -1, -1), torch.arange(n)), marks)


@pytest.mark.parametrize("options", [{"flip": True}, {"crop": 3}, {"flip": True, "crop": 3}, {"size": (24, 24)}])
def test_what_is_white_is_what_is_marked(options):
    torch.manual_seed(0)
    data = Augmented(squares(), **options)
    batch = next(iter(DataLoader(data, batch_size=20)))
    images, labels = batch.sample
    assert torch.equal(images > 0.5, (batch.annotation < 0).expand_as(images))
    assert torch.equal(labels, torch.arange(20))
    if "size" not in options:
        untouched = torch.stack([squares()[index].annotation for index in range(20)])
        assert not torch.equal(batch.annotation, untouched)


def test_what_comes_in_is_unknown():
    torch.manual_seed(0)
    data = AnnotatedDataset(TensorDataset(torch.ones(1, 1, 6, 6)), -torch.ones(1, 1, 6, 6, dtype=torch.int8))
    moved = [Augmented(data, crop=2)[0] for _ in range(10)]
    assert all(torch.equal(one.sample[0] == 0, one.annotation == 0) for one in moved)
    assert any((one.annotation == 0).any() for one in moved)


def test_resized_and_flipped_images_need_annotations_of_their_size():
    data = AnnotatedDataset(TensorDataset(torch.ones(1, 1, 6, 6)), torch.ones(1, 1, 3, 3))
    with pytest.raises(ValueError, match=r"sample 0 has size .H, W. = .3, 3., but its image has .6, 6."):
        Augmented(data, flip=True)[0]
    with pytest.raises(TypeError, match="not of TensorDataset"):
        Augmented(TensorDataset(torch.ones(1, 1, 6, 6)))
    with pytest.raises(ValueError, match="at least 0"):
        Augmented(data, crop=-1)
