"""Marked regions put onto other images."""

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from salreg.propagation.copy_paste import UNKNOWN, CopyPaste, boxes_around
from salreg.propagation.training import _loss


def corners(n=8, side=10):
    """Images of which each has its own colour, and a mark of 2 x 3 pixels in one of two corners."""
    images = torch.arange(1.0, n + 1).view(n, 1, 1, 1).expand(n, 2, side, side).clone()
    masks = torch.zeros(n, 1, side, side)
    masks[: n // 2, :, :2, :3] = 1
    masks[n // 2 :, :, -2:, -3:] = 1
    return images, masks


def test_boxes_lie_around_masks():
    boxes = boxes_around(corners()[1])
    assert boxes.centre[[0, -1]].tolist() == [[0.5, 1.0], [8.5, 8.0]]
    assert boxes.size.unique(dim=0).tolist() == [[2.0, 3.0]]


def test_what_always_lies_in_corners_is_pasted_there_with_its_mask_and_colour():
    images, masks = corners()
    backgrounds, unknown = torch.zeros(64, 2, 10, 10), torch.full((64, 1, 10, 10), UNKNOWN)
    pasted, targets = CopyPaste(images, masks).pasted(backgrounds, unknown)
    assert set(targets.unique().tolist()) == {UNKNOWN, 1.0}
    inside = targets == 1
    assert torch.equal(inside.expand_as(pasted), pasted != 0)
    patterns = (targets == 1).flatten(1).unique(dim=0)
    assert patterns.float().sum(1).tolist() == [6, 6]
    assert {tuple(one.tolist()) for one in patterns} == {tuple((one.flatten() > 0).tolist()) for one in masks}
    assert len(pasted.flatten(1).amax(1).unique()) > 4  # colours of many donors
    assert not backgrounds.any()


def test_what_lies_anywhere_is_pasted_anywhere():
    masks = torch.zeros(9, 1, 12, 12)
    for number in range(9):
        row, column = 4 * (number // 3), 4 * (number % 3)
        masks[number, :, row : row + 2, column : column + 2] = 1
    paste = CopyPaste(torch.ones(9, 1, 12, 12), masks)
    _, targets = paste.pasted(torch.zeros(200, 1, 12, 12), torch.zeros(200, 1, 12, 12))
    assert len((targets > 0).flatten(1).unique(dim=0)) > 30


def test_a_region_takes_the_size_of_another_one_every_other_time():
    masks = torch.zeros(2, 1, 12, 12)
    masks[0, :, 2:4, 2:4] = 1
    masks[1, :, 2:10, 2:10] = 1
    images = torch.stack([torch.full((1, 12, 12), 1.0), torch.full((1, 12, 12), 2.0)])
    pasted, targets = CopyPaste(images, masks).pasted(torch.zeros(300, 1, 12, 12), torch.zeros(300, 1, 12, 12))
    areas = (targets > 0).flatten(1).sum(1)
    of_the_small_one = pasted.flatten(1).amax(1) == 1
    assert areas[of_the_small_one].max() > 20
    assert areas[of_the_small_one].min() <= 4


def test_clean_pieces_are_pasted_as_clean():
    images, masks = corners()
    _, targets = CopyPaste(images, masks).pasted_clean(torch.zeros(64, 2, 10, 10), torch.full((64, 1, 10, 10), UNKNOWN))
    assert set(targets.unique().tolist()) == {UNKNOWN, 0.0}


def test_unknown_places_do_not_count_in_the_loss():
    logits = torch.randn(4, 1, 6, 6)
    targets = (torch.rand(4, 1, 6, 6) < 0.5).float()
    targets[:, :, 3:] = UNKNOWN
    other = logits.clone()
    other[:, :, 3:] = 100
    assert torch.equal(_loss(logits, targets), _loss(other, targets))
    assert not torch.equal(_loss(logits, targets), _loss(-logits, targets))


def test_the_loss_is_that_of_the_formula():
    logits, targets = torch.randn(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    targets[:, :, :1] = 1  # a quarter, so that these weigh the root of three
    entropy = binary_cross_entropy_with_logits(logits, targets, pos_weight=torch.tensor(3.0).sqrt())
    found = logits.sigmoid()
    dice = (2 * (found * targets).sum() + 1) / (found.sum() + targets.sum() + 1)
    assert float(_loss(logits, targets)) == pytest.approx(float(entropy + 1 - dice), rel=1e-5)
