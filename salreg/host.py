"""Sends what the host knows to a device."""

import torch
from torch import Tensor


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on a device. On a GPU, the host does not wait until the device has done all that it has to do."""
    return tensor.to(device, non_blocking=device.type == "cuda")
