"""Two processes on one machine, forked from a server that has imported everything once."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.strategies import DDPStrategy, ModelParallelStrategy
from pytorch_lightning.strategies.launchers import _MultiProcessingLauncher
from pytorch_lightning.strategies.launchers.multiprocessing import _GlobalStateSnapshot
from support import images
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from salreg.data import AnnotatedDataset

_START = "spawn" if sys.platform == "win32" else "forkserver"
# torch.compile would import its parts in each process that compiles.
forkserver.set_forkserver_preload(["salreg.callbacks", "torch._functorch.aot_autograd", "torch._inductor.lowering"])


def in_a_process_of_its_own(
    call: Callable[[], None], folder: Path, environment: dict[str, str] | None = None
) -> tuple[int, str]:
    """Call a module's function in a folder, in a process that may be killed; its exit code and what it printed."""
    process = multiprocessing.get_context(_START).Process(target=_call, args=(call, folder, environment or dict(os.environ)))
    process.start()
    process.join(240)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"{call.__name__} has not ended: {(folder / 'printed.txt').read_text()}")
    return process.exitcode, (folder / "printed.txt").read_text()


def _call(call: Callable[[], None], folder: Path, environment: dict[str, str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with Path("printed.txt").open("wb") as printed:
        for stream in (1, 2):
            os.dup2(printed.fileno(), stream)
    call()


class Interleaved(pl.LightningDataModule):
    """Every other sample to each process, in order, so that the two batches of 4 make up one of 8."""

    def _loader(self) -> DataLoader[Any]:
        x, y, annotations = images()
        annotations[4:12] = 0  # whole batches without annotation, on one process or both
        annotations[5] = -1
        data = AnnotatedDataset(TensorDataset(x, y), annotations)
        if self.trainer.world_size == 1:
            return DataLoader(data, 8)
        sampler = DistributedSampler(data, self.trainer.world_size, self.trainer.global_rank, shuffle=False)
        return DataLoader(data, 4, sampler=sampler)

    train_dataloader = val_dataloader = _loader


class Launcher(_MultiProcessingLauncher):
    """Gives forked processes what spawned ones get: the environment, the random state, and parameters of their own."""

    def __init__(self, strategy: Any, start: str = _START) -> None:
        super().__init__(strategy, start)
        self.states: Any = None
        self.environment: dict[str, str] = {}

    def launch(self, *args: Any, **kwargs: Any) -> Any:
        self.states = _GlobalStateSnapshot.capture()
        os.environ.pop("MASTER_PORT", None)  # of the launch before, which another process may have taken by now
        os.environ["MASTER_PORT"] = str(self._strategy.cluster_environment.main_port)
        self.environment = dict(os.environ)
        return super().launch(*args, **kwargs)

    def _wrapping_function(self, *args: Any, **kwargs: Any) -> None:
        """Ends the process as soon as its results are delivered: now and then a thread of gloo's that still holds a tensor
        aborts an interpreter that shuts down in order."""
        os.environ.update(self.environment)
        self._start_method = "spawn"
        super()._wrapping_function(*args, **kwargs, global_states=self.states)
        os._exit(0)


class Gloo(DDPStrategy):
    """DDP on CPUs.

    Args:
        start: How its processes begin. One that has just begun itself forks them: it has no server yet, and no threads.
        options: Those of DDP.
    """

    def __init__(self, start: str = _START, **options: Any) -> None:
        super().__init__(start_method=start, process_group_backend="gloo", **options)

    def _configure_launcher(self) -> None:
        self._launcher = Launcher(self, self._start_method)


class Shards(ModelParallelStrategy):
    """FSDP2 on CPUs."""

    def __init__(self) -> None:
        super().__init__(data_parallel_size=2, tensor_parallel_size=1, process_group_backend="gloo")

    def _configure_launcher(self) -> None:
        self._launcher = Launcher(self)
