"""Time, memory and exactness of a training step."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from benchmarks.models import Batch
from benchmarks.ways import Loss


def seconds(step: Callable[[], None], repeats: int, device: str = "cpu") -> float:
    """Of one of several steps in a row."""
    _wait(device)
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    _wait(device)
    return (time.perf_counter() - start) / repeats


def ratios(steps: Mapping[str, Callable[[], None]], rounds: int, device: str = "cpu") -> tuple[float, dict[str, list[float]]]:
    """The median time of the first step, and the ratio of each other one's to it, round by round: a slow moment of the
    machine falls on all of them."""
    base, *others = steps
    repeats = 4 * max(1, round(0.05 / seconds(steps[base], 3, device)))  # whole turns of what is done every fourth step
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            times[name].append(seconds(step, repeats, device))
    first = times[base][1:]  # the first round warms up
    return statistics.median(first), {name: [a / b for a, b in zip(times[name][1:], first, strict=True)] for name in others}


def step_of(model: nn.Module, loss: Loss, batch: Batch) -> Callable[[], None]:
    """One step of training."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()

    return step


def peak_memory(model: nn.Module, loss: Loss, batch: Batch, device: str = "cpu") -> int:
    """Bytes that a step's graphs hold at most: on CUDA what is allocated, elsewhere what autograd saved."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        loss(model, batch).backward()
        return torch.cuda.max_memory_allocated() - before
    saved = SavedTensors(model)
    with torch.autograd.graph.saved_tensors_hooks(saved.pack, lambda kept: kept.tensor):
        loss(model, batch).backward()
    return saved.peak


class SavedTensors:
    """Counts the memory that autograd holds on to, each storage once, without the parameters.

    Attributes:
        peak: Bytes at most.
    """

    def __init__(self, model: nn.Module) -> None:
        self._known = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        self._holders: Counter[int] = Counter()
        self._now = self.peak = 0

    def pack(self, tensor: Tensor) -> "_Kept":
        return _Kept(self, tensor)

    def change(self, where: int, size: int, by: int) -> None:
        if where in self._known:
            return
        before = self._holders[where] > 0
        self._holders[where] += by
        self._now += ((self._holders[where] > 0) - before) * size
        self.peak = max(self.peak, self._now)


class _Kept:
    def __init__(self, of: SavedTensors, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        self.of, self.tensor = of, tensor
        self.where, self.size = storage.data_ptr(), storage.nbytes()
        of.change(self.where, self.size, 1)

    def __del__(self) -> None:
        self.of.change(self.where, self.size, -1)


def gradient_of(model: nn.Module, loss: Loss, batch: Batch) -> list[Tensor | None]:
    """The gradient of a loss in every parameter, zeros where there is none."""
    return list(torch.autograd.grad(loss(model, batch), list(model.parameters()), materialize_grads=True))


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
