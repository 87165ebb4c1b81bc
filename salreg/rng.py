"""Random numbers that are the attribution's own: the training's random state never notices them."""

import math
from typing import Any

import torch
from torch import Tensor

from salreg import checks
from salreg.host import sent


class Rng:
    """A generator on the CPU, so that every device gets the same numbers; part of a checkpoint.

    Args:
        seed: Where it starts.
    """

    def __init__(self, seed: int) -> None:
        checks.whole(-math.inf, seed=seed)
        self._generator = torch.Generator().manual_seed(seed)

    def normal(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Standard normal numbers of the type and on the device of ``like``."""
        return sent(torch.randn(shape, generator=self._generator), like.device).to(like)

    def uniform(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Uniform numbers in [0, 1)."""
        return sent(torch.rand(shape, generator=self._generator), like.device).to(like)

    def integers(self, below: int, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """Uniform integers from 0 to ``below - 1``."""
        return sent(torch.randint(below, shape, generator=self._generator), device)

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._generator.set_state(state["generator"])

    def __deepcopy__(self, memo: dict[int, Any]) -> "Rng":
        copied = Rng(0)
        copied.load_state_dict(self.state_dict())
        return copied

    def __getstate__(self) -> dict[str, Any]:
        # Bytes, because a tensor that is made for pickling is gone before a spawned process opens it.
        return {"generator": bytes(self._generator.get_state().tolist())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._generator = torch.Generator()
        self._generator.set_state(torch.tensor(list(state["generator"]), dtype=torch.uint8))
