"""What is refused as an input: complex numbers, where a gradient has no sign and a mark says nothing of a phase, and tensors
of which no samples can be taken."""

from collections.abc import Iterable

import torch
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


def refuse_unsliceable(tensors: Iterable[Tensor], size: int) -> None:
    """Raise a ``ValueError`` with the remedy if one of these tensors of a batch of ``size`` is nested, or holds its samples
    in a sparse layout.

    Example:
        >>> refuse_unsliceable([torch.eye(2)], 2)
        >>> refuse_unsliceable([torch.eye(2).to_sparse()], 2)
        Traceback (most recent call last):
        ValueError: The batch holds a sparse tensor of shape (2, 2). Collate x.to_dense(), and use x.to_sparse() in the step.
    """
    for tensor in tensors:
        if tensor.is_nested:
            raise ValueError(
                "The batch holds a nested tensor, of which no samples can be taken: collate padded ones "
                "(torch.nn.utils.rnn.pad_sequence) and their lengths, and nest them in the step."
            )
        if tensor.layout != torch.strided and len(tensor.shape) and tensor.shape[0] == size:
            raise ValueError(
                f"The batch holds a sparse tensor of shape {tuple(tensor.shape)}. Collate x.to_dense(), and use x.to_sparse() "
                "in the step."
            )
