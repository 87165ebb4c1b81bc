"""What stands in the place of a region that was taken out."""

import pytest
import torch

from salreg.interventions.fills import filled


def region_of(shape, *sides):
    region = torch.zeros(1, 1, *shape)
    region[(0, 0, *(slice(first, last + 1) for first, last in sides))] = 1
    return region


@pytest.mark.parametrize(("first", "last", "source"), [(14, 15, [13, 12]), (1, 2, [4, 3]), (17, 19, [16, 15, 14])])
def test_a_series_is_reflected_at_the_side_with_more_room(first, last, source):
    series = torch.arange(20.0).view(1, 1, 20)
    expected = series.clone()
    expected[..., first : last + 1] = torch.tensor(source).float()
    assert torch.equal(filled(series, region_of((20,), (first, last)), "mirror"), expected)


@pytest.mark.parametrize(
    ("shape", "rows", "columns", "reflected"),
    [
        ((30, 5), (20, 22), (1, 3), lambda image: image[17:20, 1:4].flip(0)),
        ((30, 5), (1, 3), (1, 3), lambda image: image[4:7, 1:4].flip(0)),
        ((4, 31), (1, 2), (25, 27), lambda image: image[1:3, 22:25].flip(1)),
        ((4, 31), (1, 2), (1, 3), lambda image: image[1:3, 4:7].flip(1)),
    ],
    ids=["rows before", "rows behind", "columns before", "columns behind"],
)
def test_an_image_is_reflected_at_the_side_with_most_room(shape, rows, columns, reflected):
    """Beside a sample whose region lies elsewhere, and from a window around it rather than from the whole image."""
    image, elsewhere = torch.rand(shape), region_of(shape, (2, 3), (2, 3))
    images, regions = image.expand(2, 1, *shape), torch.cat([region_of(shape, rows, columns), elsewhere])
    found = filled(images, regions, "mirror")[0, 0]
    assert torch.equal(found[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1], reflected(image))
    outside = regions[0, 0] == 0
    assert torch.equal(found[outside], image[outside])


def test_diffusion_halves_the_resolution_until_every_place_is_known():
    """By hand: of four places the two in the middle are unknown; at half the resolution each has half of its weight."""
    found = filled(torch.tensor([[[0.0, 9, 9, 1]]]), torch.tensor([[[0.0, 1, 1, 0]]]), "diffusion")
    assert found.flatten().tolist() == pytest.approx([0, 0.375, 0.625, 1])


def test_the_mean_is_that_of_a_ring_as_wide_as_half_of_the_box():
    series = torch.tensor([100.0, 1, 2, 50, 50, 4, 7, 100, 100, 100]).view(1, 1, 10)
    region = region_of((10,), (3, 4))
    assert filled(series, region, "mean")[0, 0, 3:5].tolist() == [3.0, 3.0]  # of 2 and 4
    wide = region_of((10,), (3, 5))
    assert filled(series, wide, "mean")[0, 0, 3:6].tolist() == pytest.approx([27.5] * 3)  # of 1, 2, 7 and 100


def test_a_blur_is_three_means_of_a_quarter_of_the_side():
    series = torch.rand(1, 1, 16)
    expected = series[0, 0].tolist()
    for _ in range(3):
        around = [expected[max(0, place - 2) : place + 3] for place in range(16)]
        expected = [sum(some) / len(some) for some in around]
    found = filled(series, torch.ones(1, 1, 16), "blur")[0, 0]
    assert torch.allclose(found, torch.tensor(expected))
    assert torch.equal(filled(series, region_of((16,), (4, 9)), "blur")[0, 0, :4], series[0, 0, :4])


def test_in_rows_of_a_table_a_region_has_the_mean_of_its_column():
    rows = torch.tensor([[1.0, 5.0], [3.0, 9.0], [8.0, 1.0]])
    region = torch.tensor([[1.0, 0.0], [0.0, 0.5], [0.0, 0.0]])
    assert filled(rows, region).tolist() == [[4.0, 5.0], [3.0, 7.0], [8.0, 1.0]]
