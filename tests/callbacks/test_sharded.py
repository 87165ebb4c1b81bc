"""FSDP2: parameters sharded over two processes end where they end on one."""

import warnings

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy
from support import Lit, conv_net, distance, fit, fresh, images, regularizer, trainer
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.utils.data import DataLoader, IterableDataset
from two_processes import Interleaved, Shards

from salreg.callbacks import SaliencyMetrics, SaliencySnapshots
from salreg.history import History


class Sharded(Lit):
    """Gathers its parameters where a fit ends, as FSDP2 leaves them in pieces."""

    def __init__(self):
        super().__init__(conv_net(smooth=True))

    def configure_model(self):
        if not isinstance(self.net, FSDPModule):
            mesh = self.device_mesh["data_parallel"]
            fully_shard(self.net[2], mesh=mesh)  # one that is gathered and freed by itself
            fully_shard(self.net, mesh=mesh)

    def state_dict(self, *args, **kwargs):
        found = super().state_dict(*args, **kwargs)
        return {name: one.full_tensor() if hasattr(one, "full_tensor") else one for name, one in found.items()}


class Strict(pl.Callback):
    """Turns warnings into errors, which processes hand on."""

    def setup(self, trainer, pl_module, stage):
        for message in (".*does not reach", ".*failed", ".*measures nothing"):
            warnings.filterwarnings("error", message)


class Streamed(pl.LightningDataModule):
    """The two processes' samples as streams."""

    def train_dataloader(self):
        data = Interleaved._loader(self).dataset
        mine = range(self.trainer.global_rank, len(data), self.trainer.world_size)
        return DataLoader(Stream([data[index] for index in mine]), 4)


class Stream(IterableDataset):
    def __init__(self, samples):
        self.samples = samples

    def __iter__(self):
        return iter(self.samples)


def history(folder):
    return History.load(folder / "snapshots" / "history.pt")


def sharded(*callbacks, validate=0, data=None):
    module = fresh(Sharded)
    torch.manual_seed(1)
    options = {"strategy": Shards(), "devices": 2, "limit_val_batches": validate, "use_distributed_sampler": False}
    used = trainer(Strict(), *callbacks, **options)
    used.fit(module, datamodule=data or Interleaved())
    return module, used


def whole(*callbacks, validate=0):
    module = fresh(lambda: Lit(conv_net(smooth=True)))
    torch.manual_seed(1)
    used = trainer(*callbacks, limit_val_batches=validate)
    used.fit(module, datamodule=Interleaved())
    return module, used


def test_the_penalty_trains_sharded_parameters_as_whole_ones():
    found, expected, plain = (train(regularizer(weight=w))[0] for train, w in ((sharded, 3.0), (whole, 3.0), (whole, 0.0)))
    assert distance(found, expected) < 0.01 * distance(expected, plain)


def test_an_intervention_changes_each_processes_samples():
    found, plain = sharded(regularizer(intervene=True, weight=0))[0], whole(regularizer(weight=0))[0]
    assert distance(found, plain) > 1e-5


def test_monitors_see_what_they_see_of_whole_parameters(tmp_path):
    def watchers(folder):
        return (
            regularizer(),
            SaliencySnapshots(panel=4, dir=tmp_path / folder, probes=["integrated_gradients"]),
            SaliencyMetrics(),
        )

    module, used = sharded(*watchers("two"), validate=1.0)
    expected, alone = whole(*watchers("one"), validate=1.0)
    assert distance(module, expected) < 0.01 * distance(module, fresh(lambda: Lit(conv_net(smooth=True))))
    shares = [float(one.callback_metrics["val/spurious_saliency"]) for one in (used, alone)]
    assert shares[0] == pytest.approx(shares[1], abs=1e-3)
    assert 0 <= used.callback_metrics["val/reliance"] <= 1
    both, one = (history(tmp_path / name) for name in ("two", "one"))
    for ours, theirs in zip(both.frames["input_gradient"], one.frames["input_gradient"], strict=True):
        assert ours.epoch == theirs.epoch
        assert ours.shares == pytest.approx(theirs.shares, abs=1e-3, nan_ok=True)
    for ours, theirs in zip(both.sanity.values(), one.sanity.values(), strict=True):
        assert ours.similarity == pytest.approx(theirs.similarity, abs=0.05)
        assert ours.deletion == pytest.approx(theirs.deletion, abs=1e-3)


def test_all_processes_draw_the_first_ones_samples_of_a_stream(tmp_path):
    sharded(SaliencySnapshots(panel=4, dir=tmp_path, probes=[], sanity=False), data=Streamed())
    drawn = history(tmp_path)
    assert [frame.epoch for frame in drawn.frames["input_gradient"]] == [0, 1, 2]
    of_first = images()[0][:8:2]
    assert len(drawn.images) == 4
    assert all((one == of_first).flatten(1).all(1).any() for one in drawn.images)


@pytest.mark.parametrize("options", [{"differentiation": "finite_difference"}, {"compile": True}])
def test_what_cannot_run_on_shards_is_refused(options):
    with pytest.raises(Exception, match="Use differentiation='exact'"):
        sharded(regularizer(**options))


def test_other_ways_to_shard_are_refused():
    strategy = type("DeepSpeedStrategy", (SingleDeviceStrategy,), {})("cpu")
    with pytest.raises(RuntimeError, match="does not support DeepSpeedStrategy.*Use ModelParallelStrategy"):
        fit(fresh(Lit), regularizer(), strategy=strategy)
