"""FSDP2: parameters sharded over two processes end where they end on one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy
from support import Interleaved, Lit, conv_net, distance, fit, fresh, regularizer, trainer

from salreg.callbacks import SaliencyMetrics, SaliencySnapshots
from salreg.history import History

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
    found.load_state_dict(torch.load(tmp_path / "whole.pt")["parameters"])
    expected, plain = trained(3.0), trained(0.0)
    assert distance(found, expected) < 0.01 * distance(expected, plain)
    assert "does not reach" not in done.stderr


def test_an_intervention_changes_each_processes_samples(tmp_path):
    done = sharded(tmp_path / "whole.pt", intervene=True, weight=0)
    assert done.returncode == 0, done.stderr[-3000:]
    found = fresh(lambda: Lit(conv_net(smooth=True)))
    found.load_state_dict(torch.load(tmp_path / "whole.pt")["parameters"])
    assert distance(found, trained(0.0)) > 1e-5


def test_monitors_see_what_they_see_of_whole_parameters(tmp_path):
    done = sharded(tmp_path / "whole.pt", "SaliencySnapshots,SaliencyMetrics", probes=["integrated_gradients"])
    assert done.returncode == 0, done.stderr[-3000:]
    assert "failed" not in done.stderr
    assert "measures nothing" not in done.stderr
    found = torch.load(tmp_path / "whole.pt")
    module, snapshots = (
        fresh(lambda: Lit(conv_net(smooth=True))),
        SaliencySnapshots(panel=4, dir=tmp_path / "one", sanity=False),
    )
    torch.manual_seed(1)
    used = trainer(regularizer(), snapshots, SaliencyMetrics())
    used.fit(module, datamodule=Interleaved())
    whole = fresh(lambda: Lit(conv_net(smooth=True)))
    whole.load_state_dict(found["parameters"])
    assert distance(whole, module) < 0.01 * distance(whole, fresh(lambda: Lit(conv_net(smooth=True))))
    shares = (found["metrics"]["val/spurious_saliency"], float(used.callback_metrics["val/spurious_saliency"]))
    assert shares[0] == pytest.approx(shares[1], abs=1e-3)
    assert 0 <= found["metrics"]["val/reliance"] <= 1
    seen = History.load(tmp_path / "whole" / "snapshots" / "history.pt")
    assert [frame.epoch for frame in seen.frames["input_gradient"]] == [1, 2]
    for ours, theirs in zip(seen.frames["input_gradient"], snapshots.history.frames["input_gradient"][1:], strict=True):
        assert ours.shares == pytest.approx(theirs.shares, abs=1e-3, nan_ok=True)


@pytest.mark.parametrize(
    ("callback", "options", "message"),
    [
        ("SaliencyRegularizer", {"differentiation": "finite_difference"}, "Take differentiation='exact'"),
        ("SaliencyRegularizer", {"compile": True}, "Take differentiation='exact'"),
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
