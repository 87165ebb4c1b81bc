"""The autocast that a forward pass ran under."""

import torch
from torch import Tensor


class Precision:
    """What ``torch.autocast`` does now on a device, to be entered again later, be it in a backward pass.

    Args:
        tensor: On the device.

    Attributes:
        dtype: The number format of matrix products: autocast's, or the tensor's own.

    Example:
        >>> x = torch.ones(1)
        >>> with torch.autocast("cpu", torch.bfloat16):
        ...     now = Precision(x)
        >>> with now.again():
        ...     now.dtype, (x @ x).dtype
        (torch.bfloat16, torch.bfloat16)
    """

    def __init__(self, tensor: Tensor) -> None:
        self._kind = tensor.device.type
        self._enabled = torch.is_autocast_enabled(self._kind)
        self._autocast = torch.get_autocast_dtype(self._kind)
        self.dtype = self._autocast if self._enabled else tensor.dtype

    def again(self) -> torch.autocast:
        """The same autocast, or none."""
        return torch.autocast(self._kind, dtype=self._autocast, enabled=self._enabled)
