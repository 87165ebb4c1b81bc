"""Graphs have no rows; dense ones do."""

from types import SimpleNamespace

import pytest
import torch
from support import Lit, fit, fresh, same
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset, TensorDataset

from salreg import AnnotatedDataset
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer


class Graphs(Dataset):
    """Graphs of 3 to 5 nodes, as torch_geometric's ``Data`` or as a mapping."""

    def __init__(self, as_mapping):
        self.as_mapping = as_mapping

    def __len__(self):
        return 6

    def __getitem__(self, index):
        nodes = 3 + index % 3
        edges = torch.stack([torch.arange(nodes), torch.arange(nodes).roll(1)])
        parts = {"x": torch.rand(nodes, 2), "edge_index": edges, "y": torch.tensor(index % 2)}
        return parts if self.as_mapping else SimpleNamespace(**parts)


@pytest.mark.parametrize("as_mapping", [True, False])
def test_graphs_are_refused_with_what_to_give_instead(as_mapping):
    data = AnnotatedDataset(Graphs(as_mapping), {0: -torch.ones(3)})
    with pytest.raises(TypeError, match="This is a graph .*to_dense_batch and to_dense_adj"):
        next(iter(DataLoader(data, batch_size=6)))


class Convolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 8), nn.Linear(8, 3)

    def forward(self, x, adjacency):
        return self.second((adjacency @ torch.tanh(self.first(x))).mean(1))


class OfGraphs(Lit):
    def training_step(self, batch, batch_idx):
        x, adjacency, y = batch
        return cross_entropy(self.net(x, adjacency), y)

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.training_step(batch, batch_idx))


def test_dense_graphs_train():
    generator = torch.Generator().manual_seed(0)
    x, adjacency = torch.rand(12, 5, 2, generator=generator), torch.eye(5).roll(1, 0).expand(12, 5, 5)
    marks = torch.zeros(12, 5, 2, dtype=torch.int8)
    marks[::2, 1, 0] = -1
    data = DataLoader(AnnotatedDataset(TensorDataset(x, adjacency, torch.arange(12) % 3), marks), 6)
    plain, penalised = fresh(OfGraphs, Convolution()), fresh(OfGraphs, Convolution())
    penalised.load_state_dict(plain.state_dict())
    fit(plain, SaliencyRegularizer(weight=0, intervene=False), data=data)
    used = fit(penalised, SaliencyRegularizer(weight=1.0, intervene=False), SaliencyMetrics(), data=data, val=data)
    assert used.callback_metrics["salreg/penalty"] > 0
    assert "val/reliance" in used.callback_metrics
    assert not same(plain, penalised)
