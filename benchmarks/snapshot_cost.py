"""What watching costs: the share of an epoch's time that snapshots, probes and metrics take.

Run:  python -m benchmarks.snapshot_cost --data ../shared/data/mnist [--model cnn] [--epochs 2] [--logger trackio]

Trains ``decoy_mnist`` as the recipe does, and adds up the time spent in the hooks of ``SaliencySnapshots`` and
``SaliencyMetrics``: a difference of two trainings would drown in the machine's noise. The epoch is timed with them taken off.
What comes once, before and after the training, is listed apart.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl

from salreg.callbacks import SaliencyMetrics, SaliencySnapshots
from salreg.recipes.training import run
from salreg.recipes.training.config import load

ONCE = ("setup", "on_fit_start", "on_train_start", "on_train_end", "teardown")


def is_every_epoch(method: str) -> bool:
    return method not in ONCE and "test" not in method


class Stopwatch:
    """Adds up the time spent in methods, by class and method."""

    def __init__(self) -> None:
        self.seconds: dict[tuple[str, str], float] = defaultdict(float)

    def watch(self, owner: type, method: str) -> None:
        timed = getattr(owner, method)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return timed(*args, **kwargs)
            finally:
                self.seconds[owner.__name__, method] += time.perf_counter() - start

        setattr(owner, method, wrapper)

    def of(self, owner: type, wanted: Callable[[str], bool]) -> float:
        return sum(spent for (name, method), spent in self.seconds.items() if name == owner.__name__ and wanted(method))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--logger", default="trackio")
    options = parser.parse_args()
    stopwatch = Stopwatch()
    for owner in (SaliencySnapshots, SaliencyMetrics):
        for method in vars(owner):
            if hasattr(pl.Callback, method):
                stopwatch.watch(owner, method)
    stopwatch.watch(pl.Trainer, "fit")
    with TemporaryDirectory() as folder:
        overrides = [f"data.root={options.data}", f"model.name={options.model}", f"trainer.max_epochs={options.epochs}"]
        config = load("decoy_mnist", [*overrides, f"logger={options.logger}"])
        run.run(config, Path(folder))
    every = {owner: stopwatch.of(owner, is_every_epoch) for owner in (SaliencySnapshots, SaliencyMetrics)}
    once = stopwatch.of(SaliencySnapshots, lambda method: method in ONCE)
    print(f"{options.epochs} epochs, {options.logger}: snapshots take {once:.2f} s once, before and after the training")
    training = stopwatch.seconds["Trainer", "fit"] - once - sum(every.values())
    for owner, spent in every.items():
        print(f"{owner.__name__:20}{spent / options.epochs:6.2f} s an epoch, {spent / training:6.1%} of the rest")


if __name__ == "__main__":
    main()
