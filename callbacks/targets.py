"""The true classes in a user's batch."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from salreg.taps import tensors_in

Target = str | int | None

_USUAL_KEYS = ("label", "labels", "target", "targets", "y")


def find_target(sample: Any, key: Target = None) -> Tensor | None:
    """The true classes ``(B,)`` of a batch.

    Args:
        sample: A tuple, list or mapping of tensors.
        key: Where they are: a mapping's key or a tuple's position. None takes the entry with a usual name, or else the
            first tensor of integers with one entry per sample.

    Raises:
        KeyError: There is nothing at ``key``.
    """
    if key is not None:
        if isinstance(sample, Mapping) and key in sample:
            return sample[key]
        if isinstance(sample, Sequence) and isinstance(key, int) and -len(sample) <= key < len(sample):
            return sample[key]
        there = list(sample) if isinstance(sample, Mapping) else f"positions 0 to {len(sample) - 1}"
        raise KeyError(f"The batch has no target {key!r}; it has {there}.")
    if isinstance(sample, Mapping):
        named = [sample[name] for name in _USUAL_KEYS if isinstance(sample.get(name), Tensor)]
        if named:
            return named[0]
    return next((t for t in tensors_in(sample) if t.ndim == 1 and not t.is_floating_point()), None)
