"""Robust explanation supervision, against the published search in a loop."""

import pytest
import torch
from torch.nn.functional import relu

from salreg.losses import RobustSupervision
from salreg.losses.res import best_threshold, soft_borders

torch.manual_seed(0)
MAPS = torch.rand(4, 1, 5, 5, dtype=torch.float64)
MARKS = torch.zeros(4, 1, 5, 5, dtype=torch.float64)
MARKS[:, :, 1:3, 1:4] = 1
MARKS[:2, :, 4] = -1


def searched(maps, labels):
    """The share of spurious places below plus that of relevant places at or above, for every candidate."""

    def matched(a):
        below = (maps[labels < 0] < a).double().mean() if (labels < 0).any() else 0
        return below + (maps[labels > 0] >= a).double().mean()

    return max(float(matched(a)) for a in maps), matched


def test_no_candidate_separates_better_than_the_threshold():
    flat, labels = MAPS.flatten(1), MARKS.flatten(1)
    for m, y, a in zip(flat, labels, best_threshold(flat, labels), strict=True):
        best, matched = searched(m, y)
        assert float(matched(a)) == pytest.approx(best)


def test_the_loss_is_its_formula():
    loss = RobustSupervision(slack=0.2)
    flat, labels = MAPS.flatten(1), MARKS.flatten(1)
    maps = (flat - flat.amin(1, keepdim=True)) / (flat.amax(1) - flat.amin(1)).view(-1, 1)
    thresholds = best_threshold(maps, labels)
    expected = []
    for i in range(4):
        known = labels[i] != 0
        slack = (torch.tanh(5 * (maps[i] - thresholds[i])) - labels[i])[known].abs().mean() - 0.2
        border = soft_borders(MARKS[i : i + 1].clamp(min=0)).flatten()
        expected.append((maps[i] - border).abs().mean() + relu(slack))
    torch.testing.assert_close(loss.per_sample(MAPS, MARKS).value, torch.stack(expected))


def test_a_map_of_several_channels_is_summed_and_has_one_annotation():
    several = torch.cat([MAPS / 4, MAPS * 3 / 4], 1)
    for annotation in (MARKS, MARKS.expand(4, 2, 5, 5)):
        torch.testing.assert_close(
            RobustSupervision().per_sample(several, annotation).value, RobustSupervision().per_sample(MAPS, MARKS).value
        )


def test_borders_are_soft_and_the_middle_is_not():
    mark = torch.zeros(1, 1, 7, 7)
    mark[:, :, 2:5, 2:5] = 1
    softened = soft_borders(mark)[0, 0]
    assert softened[3, 3] == 1
    assert 0 < softened[1, 3] < softened[2, 3] < 1
    assert softened[0].sum() == 0


def test_slack_forgives():
    strict, lax = RobustSupervision(0.0), RobustSupervision(10.0)
    assert strict(MAPS, MARKS) > lax(MAPS, MARKS) > 0
    assert RobustSupervision()(MAPS, MARKS) == RobustSupervision(0.1)(MAPS, MARKS)
    with pytest.raises(ValueError, match="slack must be a finite number of at least 0"):
        RobustSupervision(-1)
