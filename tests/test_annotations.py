import numpy as np
import pytest
import torch

from salreg import annotations
from salreg.annotations import align, check, coarsen, from_boxes, from_mask, marks


def test_a_spurious_mask_becomes_minus_one_and_a_relevant_one_plus_one():
    spurious, relevant = torch.eye(3, dtype=torch.bool), torch.zeros(3, 3)
    relevant[0, 2] = 1
    annotation = from_mask(spurious=spurious, relevant=relevant)
    assert annotation.dtype == torch.int8
    assert annotation.tolist() == [[[-1, 0, 1], [0, -1, 0], [0, 0, -1]]]


def test_masks_of_text_and_tables_keep_their_shape_and_arrays_are_taken():
    assert from_mask(spurious=np.array([True, False])).tolist() == [-1, 0]


def test_soft_masks_stay_soft():
    assert from_mask(relevant=torch.tensor([0.25, 1.0])).tolist() == [0.25, 1.0]


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({}, "needs spurious"),
        ({"spurious": torch.tensor([0.0, 255.0])}, "pass mask > 0"),
        ({"spurious": torch.tensor([float("nan")])}, "spurious mask must be"),
        ({"spurious": torch.zeros(2), "relevant": torch.zeros(3)}, "differ in shape"),
        ({"spurious": torch.ones(2), "relevant": torch.ones(2)}, "both spurious and relevant"),
    ],
)
def test_masks_that_make_no_sense_are_refused(masks, message):
    with pytest.raises(ValueError, match=message):
        from_mask(**masks)


def test_boxes_are_rounded_outwards_and_cut_at_the_border():
    annotation = from_boxes([(0.6, -3, 1.2, 1)], size=(2, 3))
    assert annotation.tolist() == [[[1, 1, 0], [0, 0, 0]]]


def test_a_box_may_be_what_is_spurious():
    assert from_boxes([(0, 0, 1, 1)], size=(1, 2), inside="spurious").tolist() == [[[-1, 0]]]


@pytest.mark.parametrize("box", [(2, 0, 1, 1), (5, 0, 9, 1), (0, 0, 0, 1)])
def test_a_box_that_covers_nothing_is_named(box):
    with pytest.raises(ValueError, match=r"covers nothing of an image of size \(H, W\)"):
        from_boxes([box], size=(2, 3))


def test_unknown_words_for_boxes_are_refused():
    with pytest.raises(ValueError, match="'unknown' or 'spurious'"):
        from_boxes([], size=(2, 2), outside="relevant")


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
