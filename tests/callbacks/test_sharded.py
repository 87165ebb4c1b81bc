"""FSDP2: parameters sharded over two processes end where they end on one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy
from support import Interleaved, Lit, conv_net, distance, fit, fresh, regularizer, trainer

SCRIPT = Path(__file__).with_name("sharded_training.py")


def sharded(result, callback="SaliencyRegularizer", **options):
    command = [sys.executable, SCRIPT, result, callback, json.dumps(options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def trained(weight):
    module = fresh(lambda: Lit(conv_net(smooth=True)))
    torch.manual_seed(1)
    trainer(regularizer(weight=weight), limit_val_batches=0).fit(module, datamodule=Interleaved())
    return module


def test_the_penalty_trains_sharded_parameters_as_whole_ones(tmp_path):
    done = sharded(tmp_path / "whole.pt")
    assert done.returncode == 0, done.stderr[-3000:]
    found = fresh(lambda: Lit(conv_net(smooth=True)))
    found.load_state_dict(torch.load(tmp_path / "whole.pt"))
    expected, plain = trained(3.0), trained(0.0)
    assert distance(found, expected) < 0.01 * distance(expected, plain)
    assert "does not reach" not in done.stderr


def test_an_intervention_changes_each_processes_samples(tmp_path):
    done = sharded(tmp_path / "whole.pt", intervene=True, weight=0)
    assert done.returncode == 0, done.stderr[-3000:]
    found = fresh(lambda: Lit(conv_net(smooth=True)))
    found.load_state_dict(torch.load(tmp_path / "whole.pt"))
    assert distance(found, trained(0.0)) > 1e-5


@pytest.mark.parametrize(
    ("callback", "options", "message"),
    [
        ("SaliencyRegularizer", {"differentiation": "finite_difference"}, "Take differentiation='exact'"),
        ("SaliencyRegularizer", {"compile": True}, "Take differentiation='exact'"),
        ("SaliencySnapshots", {}, "SaliencySnapshots runs the network on one process at a time"),
    ],
)
def test_what_cannot_run_on_shards_is_refused(tmp_path, callback, options, message):
    done = sharded(tmp_path / "whole.pt", callback, **options)
    assert done.returncode != 0
    assert message in done.stderr


def test_other_ways_to_shard_are_refused():
    strategy = type("DeepSpeedStrategy", (SingleDeviceStrategy,), {})("cpu")
    with pytest.raises(RuntimeError, match="does not support DeepSpeedStrategy.*Use ModelParallelStrategy"):
        fit(fresh(Lit), regularizer(), strategy=strategy)
