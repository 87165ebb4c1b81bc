"""A gradient at a column that never varies is no use of it, and is not drawn as such."""

import pytest
import torch
from support import Lit, fit, fresh, loader, regularizer
from torch import nn
from torch.utils.data import TensorDataset

from salreg.callbacks import SaliencySnapshots
from salreg.callbacks.panel import constant_columns
from salreg.data import AnnotatedDataset


def rows(blind: bool, n: int = 64) -> AnnotatedDataset:
    """Three columns, the second of which is marked; a blind arm sees nothing but zeros there."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 3, generator=generator)
    y = (x[:, 0] + x[:, 1] > 0).long()
    if blind:
        x[:, 1] = 0
    marks = torch.tensor([0, -1, 0], dtype=torch.int8).expand(n, 3)
    return AnnotatedDataset(TensorDataset(x, y), list(marks))


def drawn(tmp_path, blind):
    snapshots = SaliencySnapshots(panel=4, dir=tmp_path, probes=["occlusion"], sanity=False)
    snapshots.names = ["age", "race", "income"]
    data = rows(blind)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3))
    fit(fresh(Lit, net), regularizer(), snapshots, data=loader(data, 16), val=loader(data, 16), epochs=1)
    return snapshots.history


@pytest.mark.parametrize("blind", [True, False])
def test_the_column_of_a_blind_arm_is_neither_drawn_nor_counted(tmp_path, blind):
    history = drawn(tmp_path, blind)
    frame = history.frames["input_gradient"][-1]
    assert all((saliency[1] == 0) == blind for saliency in frame.saliency)
    assert all((share == 0) == blind for share in frame.shares)
    assert history.names[0] == ["age", "race (fixed)" if blind else "race", "income"]


def test_a_few_rows_tell_nothing():
    assert constant_columns(torch.zeros(31, 2)) is None
    assert constant_columns(torch.zeros(32, 2)).all()


@pytest.mark.parametrize("given", [torch.zeros(64, 5, dtype=torch.long), torch.zeros(64, 1, 8, 8), torch.rand(64, 5)])
def test_texts_images_and_varying_columns_have_none(given):
    assert constant_columns(given) is None
