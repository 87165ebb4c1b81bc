import pytest
import torch

from salreg import annotations
from salreg.annotations import NO_PLACE, align, check, coarsen, is_annotated, marks, places


def test_marks_split_the_two_sides():
    spurious, relevant = marks(torch.tensor([-1.0, -0.5, 0.0, 0.25]))
    assert spurious.tolist() == [1.0, 0.5, 0.0, 0.0]
    assert relevant.tolist() == [0.0, 0.0, 0.0, 0.25]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (torch.tensor([2]), r"sample 7 has values from 2 to 2.*\[-1, 1\]"),
        (torch.tensor([float("nan")]), "sample 7 contains NaN"),
        (torch.tensor([True]), "does not say what True means"),
    ],
)
def test_check_names_the_culprit(annotation, message):
    with pytest.raises(ValueError, match=message):
        check(annotation, "The annotation of sample 7")


def test_one_channel_of_annotation_serves_all_channels_of_a_map():
    assert align(torch.zeros(2, 1, 4, 4, dtype=torch.int8), torch.zeros(2, 3, 4, 4)).dtype == torch.float32


@pytest.mark.parametrize("shape", [(2, 1, 4, 5), (2, 4, 4), (3, 1, 4, 4), (2, 2, 4, 4), (1, 1, 4, 4)])
def test_annotations_that_do_not_fit_the_map_are_refused(shape):
    with pytest.raises(ValueError, match="do not fit saliency maps"):
        align(torch.zeros(shape), torch.zeros(2, 3, 4, 4))


def test_an_annotation_with_one_column_does_not_spread_over_a_table():
    with pytest.raises(ValueError, match="do not fit"):
        align(torch.zeros(2, 1), torch.zeros(2, 5))


def test_coarsening_averages_each_side_of_a_cell():
    annotation = torch.tensor([[[[-1, -1, 0, 1], [-1, 0, 0, 0]]]])
    assert coarsen(annotation, (1, 2)).tolist() == [[[[-0.75, 0.25]]]]


def test_is_annotated_tells_zeros_from_marks():
    assert annotations.is_annotated(torch.tensor([[0, 0], [0, -1]])).tolist() == [False, True]


def test_no_place_is_neither_side_and_no_mark():
    annotation = torch.tensor([[-1, 0, 1, NO_PLACE], [0, 0, NO_PLACE, NO_PLACE]], dtype=torch.int8)
    assert marks(annotation).spurious.tolist() == [[1, 0, 0, 0], [0, 0, 0, 0]]
    assert marks(annotation).relevant.tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]
    assert places(annotation).tolist() == [[True, True, True, False], [True, True, False, False]]
    assert is_annotated(annotation).tolist() == [True, False]
    check(annotation[0])


def test_an_image_has_no_place_that_is_none():
    with pytest.raises(ValueError, match="values from 0 to 127"):
        check(torch.tensor([[[0, NO_PLACE]]], dtype=torch.int8))


def test_annotations_of_tokens_fit_maps_of_embedded_tokens():
    assert align(torch.zeros(2, 5), torch.zeros(2, 8, 5)).shape == (2, 1, 5)
    with pytest.raises(ValueError, match="do not fit"):
        align(torch.zeros(2, 5), torch.zeros(2, 5, 8))


def test_a_map_with_one_channel_sees_the_marks_of_any():
    annotation = torch.zeros(1, 3, 1, 3)
    annotation[0, 0, 0, 0], annotation[0, 2, 0, :2] = 1, torch.tensor([-0.5, 1.0])
    assert align(annotation, torch.rand(1, 1, 1, 3)).flatten().tolist() == [-0.5, 1.0, 0.0]
    assert torch.equal(align(annotation, torch.rand(1, 3, 1, 3)), annotation)
