"""Annotations of a series' steps are laid out like the series."""

import pytest
import torch
from support import Lit, fit, loader, same
from torch import nn
from torch.utils.data import TensorDataset

from salreg.callbacks import SaliencyRegularizer
from salreg.data import AnnotatedBatch, AnnotatedDataset

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
