"""The random generators that a forward pass or a dataset may use."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn


class RandomState:
    """The state of the random generators that a model's forward pass may use.

    Args:
        model: On its devices.
    """

    def __init__(self, model: nn.Module) -> None:
        self._devices = cuda_devices(model)
        self._states = self._now()

    def restore(self) -> None:
        """Set the generators back."""
        torch.set_rng_state(self._states[0])
        for device, state in zip(self._devices, self._states[1:], strict=True):
            torch.cuda.set_rng_state(state, device)

    def has_moved(self) -> bool:
        """Whether random numbers were drawn since."""
        return any(not torch.equal(now, then) for now, then in zip(self._now(), self._states, strict=True))

    def _now(self) -> list[Tensor]:
        return [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in self._devices)]


def cuda_devices(model: nn.Module) -> list[int]:
    """The indices of the CUDA devices that hold a model's parameters."""
    return sorted({p.device.index for p in model.parameters() if p.device.type == "cuda" and p.device.index is not None})


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Random transforms of the dataset draw numbers; the training must not notice."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
