"""What held-out samples say, and how many more marks to make."""

import math

import pytest
import torch

from salreg.propagation.quality import Counts, Quality, marks_needed


def test_the_threshold_of_the_highest_iou_is_found():
    probability = torch.tensor([[0.95, 0.8, 0.7, 0.2]])
    mask = torch.tensor([[True, True, False, False]])
    counts = Counts()
    counts.add(probability, mask)
    best = counts.best()
    assert 0.7 < best.threshold <= 0.8
    assert (best.precision, best.recall, best.iou) == (1, 1, 1)


def test_precision_recall_and_iou_are_those_of_the_definition():
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(50, 50, generator=generator) < 0.2
    probability = (0.35 * mask + 0.65 * torch.rand(50, 50, generator=generator)).clamp(0, 1)
    counts = Counts()
    for rows in range(0, 50, 10):
        counts.add(probability[rows : rows + 10], mask[rows : rows + 10])
    best = counts.best()
    found = (probability * 100).long() >= round(best.threshold * 100)
    both = float((found & mask).sum())
    assert best.precision == pytest.approx(both / float(found.sum()))
    assert best.recall == pytest.approx(both / float(mask.sum()))
    assert best.iou == pytest.approx(both / float((found | mask).sum()))


def test_of_marks_that_cover_nearly_all_the_rest_is_measured():
    mask = torch.ones(10, 10, dtype=torch.bool)
    mask[:2, :5] = False  # a tenth, of which half is found; nothing else is taken for it
    probability = mask.float()
    probability[0, :5] = 1.0
    counts = Counts()
    counts.add(probability, mask)
    best = counts.best()
    assert (best.recall, best.precision, best.iou) == (1, pytest.approx(90 / 95), 0.5)
    text = str(Quality(*best, marked=20, clean=0, missed=0, invented=0))
    assert "(IoU 0.95, but 0.50 for what is not marked)" in text


def test_more_marks_are_asked_for_as_errors_fell_so_far():
    assert marks_needed(100, iou=0.5, iou_of_half=0.0, wanted=0.75) == 200  # half the error with twice the marks
    error = [2 * n**-0.5 for n in (50, 100)]
    needed = marks_needed(100, 1 - error[1], 1 - error[0], wanted=0.9)
    assert needed == math.ceil((2 / 0.1) ** 2)


def test_where_more_marks_did_not_help_no_number_is_made_up():
    assert marks_needed(100, iou=0.4, iou_of_half=0.4, wanted=0.6) is None
    assert marks_needed(100, iou=0.4, iou_of_half=0.5, wanted=0.6) is None
    assert marks_needed(100, iou=0.4, iou_of_half=0.395, wanted=0.9) is None  # more than a hundred times as many
    assert marks_needed(100, iou=0.5, iou_of_half=0.0, wanted=1 - 0.5 / 99.5) is not None
    assert marks_needed(100, iou=0.5, iou_of_half=0.0, wanted=1 - 0.5 / 100.5) is None


def test_quality_is_told_in_words():
    text = str(Quality(0.9, 0.8, 0.73, 0.5, marked=20, clean=10, missed=2, invented=3))
    assert "80% of the marked pixels were found, and 90% of what was found is marked (IoU 0.73)" in text
    assert "Nothing was found on 2 of them. Something was found on 3 of 10 samples" in text
    text = str(Quality(0.9, 0.8, 0.5, 0.5, marked=20, clean=10, missed=2, invented=3))
    assert "(IoU 0.73, but 0.50 for what is not marked)" in text
    assert "hide where the marked feature is absent" not in text
    text = str(Quality(0.9, 0.8, 0.73, 0.5, marked=20, clean=10, missed=2, invented=6))
    assert "hide where the marked feature is absent" in text
