"""Only what is marked changes, whichever axis holds the channels."""

import pytest
import torch

from salreg.interventions import REPLACEMENTS, Intervention
from salreg.interventions.replacements import replace
from salreg.rng import Rng

EVERY = torch.ones(16, dtype=torch.bool)


def series(steps=12, features=5):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(16, steps, features, generator=generator), torch.zeros(16, steps, features, dtype=torch.int8)


WHERE = {
    "steps": (slice(None), slice(2, 4)),
    "a feature": (slice(None), slice(None), 1),
    "some elements": (slice(None), slice(2, 4), slice(1, 3)),
}


@pytest.mark.parametrize("features", [5, 12])
@pytest.mark.parametrize("where", WHERE.values(), ids=WHERE)
def test_of_a_series_the_marked_elements_alone_show_another_samples(where, features):
    x, marks = series(features=features)
    marks[where] = -1
    changed = Intervention()(x, marks)
    assert torch.equal(changed.sample != x, marks < 0)
    assert torch.equal(changed.annotation, marks)


@pytest.mark.parametrize("presence", [0.0, 1.0])
def test_whole_steps_change_like_those_of_a_series_that_is_marked_by_steps(presence):
    x, marks = series()
    marks[:8, 2:4] = -1
    found, expected = (Intervention(presence)(x, one, EVERY) for one in (marks, marks[..., 0]))
    assert torch.equal(found.sample, expected.sample)
    assert torch.equal(found.annotation[..., 0], expected.annotation)


def test_marks_of_all_channels_of_an_image_are_those_of_its_places():
    x = torch.rand(8, 3, 6, 6)
    marks = torch.zeros(8, 3, 6, 6)
    marks[:4, :, :2, :2] = -1
    found, expected = (Intervention(0.5)(x, one, EVERY[:8]) for one in (marks, marks[:, :1]))
    assert torch.equal(found.sample, expected.sample)
    assert torch.equal(found.annotation[:, :1], expected.annotation)
    assert found.annotation.shape == marks.shape


@pytest.mark.parametrize("shape", [(3, 6, 6), (3, 4, 6, 6)], ids=["an image", "a volume, or a video"])
def test_one_marked_channel_changes_alone(shape):
    x, marks = torch.rand(8, *shape), torch.zeros(8, *shape)
    marks[:, 1, ..., :2, :2] = -1
    changed = Intervention()(x, marks)
    assert torch.equal(changed.sample != x, marks < 0)
    assert torch.equal(changed.annotation, marks)
    marks[4:] = 0
    filled = Intervention(0.0)(x, marks, EVERY[:8])
    assert torch.equal((filled.sample != x)[:4], marks[:4] < 0)
    assert not filled.annotation.any()


@pytest.mark.parametrize("how", REPLACEMENTS)
def test_replacements_change_nothing_but_the_marked_elements(how):
    x, marks = series()
    marks[:, 2:4] = -1
    changed = replace(x, (marks < 0).float(), how, Rng(0)) != x
    assert changed.any()
    assert not changed[marks == 0].any()
