"""Boxes around regions, and what is stretched over them."""

import pytest
import torch
from torch.nn.functional import interpolate

from salreg.interventions.boxes import Sources, boxes_around, stretched


def box(shape, *sides):
    """A region of one sample that is a box, from each first to before each last place."""
    region = torch.zeros(1, 1, *shape)
    region[(0, 0, *(slice(*side) for side in sides))] = 1
    return region


@pytest.mark.parametrize("shape", [(9,), (7, 5), (4, 6, 5)])
def test_a_box_reaches_from_the_first_place_to_the_last_along_each_axis(shape):
    generator = torch.Generator().manual_seed(0)
    region = (torch.rand(20, 1, *shape, generator=generator) > 0.9).float()
    boxes = boxes_around(region)
    for number, one in enumerate(region):
        places = one[0].nonzero()
        if len(places):
            assert boxes.first[:, number].tolist() == places.amin(0).tolist()
            assert boxes.last[:, number].tolist() == places.amax(0).tolist()
            assert boxes.sides[:, number].tolist() == (places.amax(0) - places.amin(0) + 1).tolist()
        else:
            assert (boxes.sides[:, number] < 1).all()
            assert (boxes.last[:, number] == -1).all()


@pytest.mark.parametrize("into", [(2, 7), (0, 3), (4, 5), (0, 11)])
@pytest.mark.parametrize("out_of", [(3, 8), (1, 3), (0, 11)])
def test_a_box_is_stretched_over_another_as_pytorch_resizes_pictures(into, out_of):
    donor = torch.arange(11.0).view(1, 1, 11)
    boxes, there = (boxes_around(box((11,), side)) for side in (into, out_of))
    shown = stretched(boxes, there, (11,)).shown(donor)[..., slice(*into)]
    expected = interpolate(donor[..., slice(*out_of)], into[1] - into[0], mode="nearest-exact")
    assert torch.equal(shown, expected)


def test_each_axis_is_stretched_by_itself():
    donor = torch.rand(1, 2, 6, 9)
    boxes, there = boxes_around(box((6, 9), (1, 5), (0, 3))), boxes_around(box((6, 9), (2, 4), (2, 8)))
    shown = stretched(boxes, there, (6, 9)).shown(donor)[..., 1:5, 0:3]
    assert torch.equal(shown, interpolate(donor[..., 2:4, 2:8], (4, 3), mode="nearest-exact"))


def test_what_lies_outside_of_a_box_is_some_place_of_the_grid():
    boxes, there = boxes_around(box((8,), (3, 5))), boxes_around(box((8,), (0, 8)))
    (sources,) = stretched(boxes, there, (8,)).along
    assert sources.min() >= 0
    assert sources.max() < 8
    (sources,) = stretched(boxes_around(torch.zeros(1, 1, 8)), there, (8,)).along  # an empty region
    assert sources.min() >= 0
    assert sources.max() < 8


def test_places_are_counted_row_by_row():
    rows, columns, layers = torch.tensor([[1]]), torch.tensor([[0, 2]]), torch.tensor([[3]])
    assert Sources([rows, columns, layers], (2, 3, 4)).flat.tolist() == [[[12 + 3, 12 + 8 + 3]]]


def test_what_is_shown_can_be_changed_and_put_back():
    values = torch.rand(2, 3, 4, 5)
    window = Sources([torch.tensor([[0, 1], [2, 3]]), torch.tensor([[1, 2, 3], [0, 1, 2]])], (4, 5))
    shown = window.shown(values)
    assert torch.equal(shown[1], values[1, :, 2:4, 0:3])
    changed = window.changed(values, shown + 1)
    assert torch.equal(changed[0, :, 0:2, 1:4], values[0, :, 0:2, 1:4] + 1)
    assert (changed != values).sum() == shown.numel()
    assert torch.equal(window.changed(values, shown), values)
