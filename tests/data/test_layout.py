"""Annotations of a series' steps are laid out like the series."""

import pytest
import torch
from support import Lit, fit, loader, same
from torch import nn
from torch.utils.data import TensorDataset

from salreg.annotations import align, is_annotated
from salreg.callbacks import SaliencyRegularizer
from salreg.data import AnnotatedBatch, AnnotatedDataset
from salreg.interventions import Intervention
from salreg.taps import tensors_in

STEPS = torch.tensor([[0, -1, 0], [0, 0, 1]], dtype=torch.int8)


@pytest.mark.parametrize("features", [3, 5])  # as many as steps, too
def test_a_marked_step_is_marked_in_all_its_features(features):
    batch = AnnotatedBatch((torch.rand(2, 3, features), torch.tensor([0, 1])), STEPS)
    assert torch.equal(batch.annotation, STEPS.unsqueeze(-1).expand(2, 3, features))
    named = AnnotatedBatch({"beats": torch.rand(2, 3, features), "row": torch.rand(2, 3)}, {"beats": STEPS, "row": STEPS})
    assert named.annotation["beats"].shape == (2, 3, features)
    assert torch.equal(named.annotation["row"], STEPS)


def test_a_marked_step_of_a_signal_is_a_place():
    assert torch.equal(AnnotatedBatch((torch.rand(2, 4, 3), torch.tensor([0, 1])), STEPS).annotation, STEPS.unsqueeze(1))


@pytest.mark.parametrize(
    "sample",
    [
        {"input_ids": torch.randint(5, 9, (2, 3)), "features": torch.rand(2, 3, 5)},
        {"inputs_embeds": torch.rand(2, 3, 5)},
        (torch.rand(2, 3), torch.rand(2, 3, 5)),
        torch.rand(2, 4, 5),
    ],
)
def test_annotations_of_anything_else_remain_as_they_are(sample):
    assert torch.equal(AnnotatedBatch(sample, STEPS).annotation, STEPS)


def test_steps_train_as_features_do():
    torch.manual_seed(0)
    x, y = torch.rand(8, 4, 4), torch.randint(0, 3, (8,))
    steps = torch.zeros(8, 4, dtype=torch.int8)
    steps[:, 1] = -1
    trained = []
    for annotations in (steps, steps.unsqueeze(-1).expand(8, 4, 4)):
        torch.manual_seed(1)
        module = Lit(nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3)))
        fit(module, SaliencyRegularizer(weight=1.0), data=loader(AnnotatedDataset(TensorDataset(x, y), annotations)))
        trained.append(module)
    assert same(*trained)


@pytest.mark.parametrize("labels", [torch.randint(0, 5, (2, 3)), torch.rand(2, 3)])
def test_a_label_for_each_step_is_no_input(labels):
    """It would be taken for token numbers, or a row, and exchanged."""
    x = torch.rand(2, 3, 5)
    for sample in ((x, labels), {"labels": labels, "beats": x}, {"y": labels, "x": x}):
        batch = AnnotatedBatch(sample, STEPS)
        assert batch.annotation.shape == (2, 3, 5)
        assert any(labels is one for one in tensors_in(Intervention()(sample, batch.annotation).sample))


STEP = torch.tensor([0, -1, 0], dtype=torch.int8)
CORNER = torch.zeros(1, 4, 6, dtype=torch.int8)
CORNER[:, 0, 0] = -1


@pytest.mark.parametrize(
    ("x", "mark"),
    [
        (torch.rand(4, 3, 5), STEP),
        (torch.rand(4, 5, 3), STEP),
        (torch.rand(4, 5, 3), STEP.unsqueeze(0)),
        (torch.rand(4, 3, 4, 6), CORNER.expand(3, 4, 6)),
    ],
)
def test_samples_that_nobody_looked_at_are_laid_out_like_the_others(x, mark):
    data = AnnotatedDataset(TensorDataset(x, torch.arange(4)), {1: mark})
    batch = next(iter(loader(data, 4)))
    assert batch.looked_at.tolist() == [False, True, False, False]
    assert is_annotated(batch.annotation).tolist() == [False, True, False, False]
    assert align(batch.annotation, x).expand_as(x).shape == x.shape


def test_annotations_that_somebody_made_in_two_layouts_are_an_error():
    data = AnnotatedDataset(TensorDataset(torch.rand(2, 3, 5), torch.arange(2)), [STEP, STEP.unsqueeze(1).expand(3, 5)])
    with pytest.raises(ValueError, match="differ in shape"):
        next(iter(loader(data, 2)))
