"""Models whose parameters are sharded over processes by FSDP2."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.distributed import is_available

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule


def sharded_parts(model: nn.Module) -> list["FSDPModule"]:
    """The modules of a model that ``fully_shard`` was applied to."""
    if not is_available():
        return []
    from torch.distributed.fsdp import FSDPModule

    return [module for module in model.modules() if isinstance(module, FSDPModule)]


@contextmanager
def kept_whole(model: nn.Module) -> Iterator[None]:
    """Keep parameters that were gathered for a forward pass until the block ends, and reduce no gradients over processes.

    Taking the gradient at a tap is a backward pass to FSDP2: it would free the parameters, which the second derivative still
    needs, and wait for gradients of parameters that there are not. The backward pass of the training, behind the block, is as
    ever.
    """
    parts = sharded_parts(model)
    _switch(parts, False)
    try:
        yield
    finally:
        _switch(parts, True)


def _switch(parts: list["FSDPModule"], on: bool) -> None:
    for part in parts:
        part.set_reshard_after_backward(on, recurse=False)
        part.set_requires_gradient_sync(on, recurse=False)


def reshard(model: nn.Module) -> None:
    """Free the parameters that earlier passes gathered, so that the next pass sees what was written to the shards."""
    for part in sharded_parts(model):
        part.reshard()


def gathered(parameter: Tensor) -> Tensor:
    """All values of a parameter, gathered from the processes if they hold shards of it."""
    return parameter.full_tensor() if hasattr(parameter, "full_tensor") else parameter


def sharded_like(parameter: Tensor, values: Tensor) -> Tensor:
    """Values that every process has, sharded as a parameter is."""
    if not hasattr(parameter, "full_tensor"):
        return values
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(parameter, DTensor)
    return distribute_tensor(values, parameter.device_mesh, parameter.placements)
