"""Sums and minima over the processes of a distributed training; plain values where there is one process."""

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_ranks(value: Tensor) -> Tensor:
    """The sum of a tensor over all processes, without a gradient. Every process must call it."""
    value = value.detach()
    if world_size() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def least_over_ranks(value: Tensor) -> Tensor:
    """The smallest of each element over all processes, without a gradient. Every process must call it."""
    value = value.detach()
    if world_size() > 1:
        value = value.clone()
        dist.all_reduce(value, dist.ReduceOp.MIN)
    return value


def accumulation_dtype(device: torch.device) -> torch.dtype:
    """Double precision, where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64
