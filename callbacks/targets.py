"""The true classes in a user's batch."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from salreg.callbacks.reading import ENDS, STARTS, Reading
from salreg.taps import tensors_in

Target = str | int | None

_USUAL_KEYS = ("label", "labels", "target", "targets", "y")


def find_target(sample: Any, key: Target = None, reading: Reading | None = None, logits: Tensor | None = None) -> Tensor | None:
    """The true classes ``(B,)`` of a batch, its labels ``(B, C)``, or those of places ``(B, P)`` as the loss reads them.

    Args:
        sample: A tuple, list or mapping of tensors.
        key: Where they are: a mapping's key or a tuple's position. None takes what the training loss compares the logits with;
            where that is not known, the entry with a usual name, or else the only tensor that can be the classes.
        reading: What the training loss says.
        logits: What the network put out, where that is known; the classes have to fit it.

    Returns:
        None where nothing can be the target, or several tensors can.

    Raises:
        KeyError: There is nothing at ``key``.
    """
    if reading is not None and reading.layout is not None:
        return _of_places(sample, key, reading)
    if key is not None:
        return _as_classes(_at(sample, key), reading)
    tensors = tensors_in(sample)
    if reading is not None and reading.target_index is not None and reading.target_index < len(tensors):
        return _as_classes(tensors[reading.target_index], reading)
    if reading is not None and reading.has_target:
        return None  # the step makes it of something else
    named = [sample[name] for name in _USUAL_KEYS if isinstance(sample, Mapping) and isinstance(sample.get(name), Tensor)]
    if named:
        return _as_classes(named[0], reading)
    several = reading is not None and reading.link == "sigmoid" and logits is not None and logits.shape[1:].numel() > 1
    fitting = [tensor for tensor in tensors if not several and _may_be_classes(tensor, logits)]
    fitting = fitting or [one.nan_to_num(0) for one in tensors if logits is not None and _may_be_labels(one, logits)]
    return _as_classes(fitting[0], reading) if len(fitting) == 1 else None


def _of_places(sample: Any, key: Target, reading: Reading) -> Tensor | None:
    """The labels of places, or where a span starts and ends ``(B, 2)``; None where the step makes them of something else."""
    tensors, layout = tensors_in(sample), reading.layout
    assert layout is not None
    if layout.link == "span":
        if reading.end_index is not None and reading.target_index is not None and key is None:
            return reading.labels(tensors[reading.target_index], tensors[reading.end_index])
        named = [sample[name] for name in (STARTS, ENDS) if isinstance(sample, Mapping) and name in sample]
        return _at(sample, key) if key is not None else reading.labels(*named) if len(named) == 2 else None
    if key is not None:
        return reading.labels(_at(sample, key))
    return None if reading.target_index is None else reading.labels(tensors[reading.target_index])


def _at(sample: Any, key: str | int) -> Any:
    if isinstance(sample, Mapping) and key in sample:
        return sample[key]
    if isinstance(sample, Sequence) and isinstance(key, int) and -len(sample) <= key < len(sample):
        return sample[key]
    there = list(sample) if isinstance(sample, Mapping) else f"positions 0 to {len(sample) - 1}"
    raise KeyError(f"The batch has no target {key!r}; it has {there}.")


def _as_classes(target: Any, reading: Reading | None) -> Any:
    """The most likely class of each sample where a softmax is compared with probabilities, one-hot or soft."""
    link = None if reading is None else reading.link
    if not isinstance(target, Tensor) or target.ndim != 2 or target.shape[1] == 1 or link == "sigmoid":
        return target
    sums_to_one = target.is_floating_point() and bool(((target.sum(1) - 1).abs() < 1e-4).all())
    return target.argmax(1) if link == "softmax" or sums_to_one else target


def _may_be_classes(tensor: Tensor, logits: Tensor | None) -> bool:
    if tensor.ndim != 1 or tensor.is_floating_point() or not len(tensor):
        return False
    if logits is None:
        return True
    if len(tensor) != len(logits):
        return False
    classes = logits.shape[1] if logits.ndim > 1 and logits.shape[1] > 1 else 2
    return bool((tensor < classes).all())


def _may_be_labels(tensor: Tensor, logits: Tensor) -> bool:
    if tensor.shape != logits.shape or tensor.ndim != 2:
        return False
    return bool(((tensor == 0) | (tensor == 1) | (tensor != tensor)).all())  # NaN where a finding is not known
