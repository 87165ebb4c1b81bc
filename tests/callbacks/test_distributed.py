"""Two processes on one machine train what one process trains on the same batches."""

import pytest
import torch
from support import Lit, conv_net, distance, fit, fresh, loader, regularizer, trainer
from torch import nn
from two_processes import Gloo, Interleaved

from salreg.attributions import GradCAM
from salreg.callbacks import SaliencyMetrics, SaliencyRegularizer, SaliencySnapshots


def train(module, *callbacks, processes, precision="32-true", **strategy):
    torch.manual_seed(1)
    options = {"devices": 2, "strategy": Gloo(**strategy)}
    used = trainer(*callbacks, use_distributed_sampler=False, precision=precision, **(options if processes == 2 else {}))
    used.fit(module, datamodule=Interleaved())
    return used


@pytest.mark.parametrize(
    "strategy",
    [{}, {"find_unused_parameters": True}, {"static_graph": True}],
    ids=["ddp", "find_unused", "static_graph"],
)
def test_the_same_parameters_as_one_process(strategy):
    one, two, plain = fresh(), fresh(), fresh()
    train(plain, regularizer(weight=0), processes=1)
    train(one, regularizer(weight=10), processes=1)
    train(two, regularizer(weight=10), processes=2, **strategy)
    assert distance(one, two) < 1e-6
    assert distance(one, plain) > 1e-4


def test_a_penalty_without_a_map_too():
    one, two = fresh(), fresh()
    for module, processes in ((one, 1), (two, 2)):
        train(module, SaliencyRegularizer(preset="cdep", weight=10), processes=processes, precision="64-true")
    assert distance(one, two) < 1e-6


def test_energy_on_a_layer_and_the_metrics():
    def trained(module, processes):
        energy = regularizer(attribution=GradCAM("net.2"), loss="energy")
        return train(module, energy, SaliencyMetrics(), processes=processes, precision="64-true")

    one, two = fresh(Lit, conv_net(smooth=True)), fresh(Lit, conv_net(smooth=True))
    two.load_state_dict(one.state_dict())
    alone, both = trained(one, 1), trained(two, 2)
    assert distance(one, two) < 1e-6  # spawned processes hand their weights back in single precision
    for key in ("salreg/penalty", "salreg/spurious_saliency"):  # the epoch's means
        assert both.callback_metrics[key].item() == pytest.approx(alone.callback_metrics[key].item(), rel=1e-6)
    for key in ("val/spurious_saliency", "val/undefined_maps", "val/reliance_removal"):  # what is not drawn
        if key in alone.callback_metrics:
            assert both.callback_metrics[key].item() == pytest.approx(alone.callback_metrics[key].item(), rel=1e-6)
    assert {"val/spurious_saliency", "val/reliance_removal"} <= set(both.callback_metrics)


def test_snapshots_are_drawn_once(tmp_path):
    train(fresh(), SaliencySnapshots(panel=2, dir=tmp_path / "out"), processes=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]
    assert (tmp_path / "out" / "snapshots" / "input_gradient" / "film_strip.png").is_file()


def test_a_penalty_needs_no_process_group():
    used = fit(fresh(Lit, nn.Sequential(nn.Flatten(), nn.Linear(64, 3))), regularizer(), data=loader())
    assert used.callback_metrics["salreg/penalty"] > 0
