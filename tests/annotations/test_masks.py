import numpy as np
import pytest
import torch

from salreg.annotations import from_boxes, from_mask


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
