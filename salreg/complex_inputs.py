"""Complex inputs are refused: a gradient there has no sign, and a mark says nothing of a phase."""

from collections.abc import Iterable

from torch import Tensor


def refuse_complex(tensors: Iterable[Tensor]) -> None:
    """Raise a ``ValueError`` with the remedy if one of these inputs is complex.

    Example:
        >>> import torch
        >>> refuse_complex([torch.ones(2, 1, 4)])
    """
    for tensor in tensors:
        if tensor.is_complex():
            raise ValueError(
                f"The input is complex ({tensor.dtype}, shape {tuple(tensor.shape)}), and nothing can be marked in it. Give "
                "its parts as channels, torch.cat([x.real, x.imag]) of a sample (C, ...) in the dataset, and combine them in "
                "the network: torch.complex(*x.chunk(2, dim=1))."
            )
