"""Trains with FSDP2 on two processes, which Lightning starts as this script.

Run:  python sharded_training.py RESULT.pt CALLBACK[,CALLBACK] OPTIONS.JSON
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from pytorch_lightning.strategies import ModelParallelStrategy
from support import Interleaved, Lit, conv_net, regularizer, trainer
from torch.distributed.fsdp import FSDPModule, fully_shard

import salreg.callbacks


class Sharded(Lit):
    def __init__(self):
        super().__init__(conv_net(smooth=True))

    def configure_model(self):
        if not isinstance(self.net, FSDPModule):
            mesh = self.device_mesh["data_parallel"]
            fully_shard(self.net[2], mesh=mesh)  # one that is gathered and freed by itself
            fully_shard(self.net, mesh=mesh)


def main(result, callback, options):
    torch.manual_seed(0)
    module = Sharded()
    torch.manual_seed(1)
    strategy = ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=1, process_group_backend="gloo")
    monitors = "SaliencySnapshots" in callback
    callbacks = [regularizer(**({} if monitors else options))]
    if monitors:
        folder = Path(result).with_suffix("")
        callbacks += [salreg.callbacks.SaliencySnapshots(panel=4, dir=folder, **options), salreg.callbacks.SaliencyMetrics()]
    batches = 1.0 if monitors else 0
    used = trainer(*callbacks, strategy=strategy, devices=2, limit_val_batches=batches, use_distributed_sampler=False)
    used.fit(module, datamodule=Interleaved())
    whole = {name: parameter.full_tensor() for name, parameter in module.state_dict().items()}
    metrics = {name: float(value) for name, value in used.callback_metrics.items()}
    if used.is_global_zero:
        torch.save({"parameters": whole, "metrics": metrics}, result)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
