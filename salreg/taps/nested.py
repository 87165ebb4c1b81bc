"""Tensors in a user's batch, which may nest tuples, lists, mappings and dataclasses."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any

from torch import Tensor


def tensors_in(collection: Any) -> list[Tensor]:
    """All tensors in nested sequences, mappings and dataclasses, in a fixed order."""
    if isinstance(collection, Tensor):
        return [collection]
    return [tensor for _, value in _parts(collection) for tensor in tensors_in(value)]


def replace_tensor(collection: Any, old: Tensor, new: Any) -> Any:
    """A copy of nested collections in which ``new`` replaces ``old``."""
    return replace_tensors(collection, {id(old): new})


def replace_tensors(collection: Any, new: Mapping[int, Any]) -> Any:
    """A copy of nested collections in which the tensors with these ids are replaced."""
    return map_leaves(lambda leaf: new.get(id(leaf), leaf), collection)


def rows_of(collection: Any, chosen: Any, size: int) -> Any:
    """Some samples of a batch: the rows of each tensor and each list with one entry per sample. An entry may be a word,
    a number or, as in detection, a mapping or a tensor of the sample's own length.

    Args:
        collection: The batch.
        chosen: A slice, or the samples' indices, as a list or a tensor.
        size: The number of samples in the batch.
    """
    indices = range(size)[chosen] if isinstance(chosen, slice) else [int(index) for index in chosen]

    def rows(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return leaf[chosen] if leaf.ndim and len(leaf) == size else leaf
        if isinstance(leaf, list | tuple) and len(leaf) == size:
            return type(leaf)(leaf[index] for index in indices)
        return leaf

    return map_leaves(rows, collection, lambda part: part is not collection and _is_by_sample(part, size))


def _is_by_sample(part: Any, size: int) -> bool:
    """Whether a list holds one entry per sample, rather than tensors of the whole batch."""
    if not isinstance(part, list | tuple) or hasattr(part, "_make") or len(part) != size:
        return False
    return not all(tensor.ndim and len(tensor) == size for tensor in tensors_in(part))


def map_leaves(change: Callable[[Any], Any], collection: Any, is_leaf: Callable[[Any], bool] = lambda _: False) -> Any:
    """A copy of nested collections with each leaf changed; a leaf that occurs twice is changed once.

    A leaf is a tensor, anything that holds no tensor, or anything for which ``is_leaf`` is true. Parts that do not change are
    not copied.
    """
    made: dict[int, Any] = {}

    def mapped(part: Any) -> Any:
        parts = [] if isinstance(part, Tensor) else _parts(part)
        if is_leaf(part) or not any(tensors_in(value) for _, value in parts):
            if id(part) not in made:
                made[id(part)] = change(part)
            return made[id(part)]
        changed = {key: mapped(value) for key, value in parts}
        return part if all(changed[key] is value for key, value in parts) else _rebuilt(part, changed)

    return mapped(collection)


def shells(collection: Any) -> Any:
    """A copy of nested collections that holds the same tensors: an entry removed from one stays in the other.

    Example:
        >>> batch = {"text": [1, 2], "label": 3}
        >>> shells(batch).pop("label"), sorted(batch)
        (3, ['label', 'text'])
    """
    parts = [] if isinstance(collection, Tensor) else _parts(collection)
    return _rebuilt(collection, {key: shells(value) for key, value in parts}) if parts else collection


def copied(collection: Any) -> Any:
    """A copy of nested collections whose tensors may be changed in place."""
    return map_leaves(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, collection)


def place_of(collection: Any, wanted: Tensor) -> str | None:
    """Where a tensor lies in a collection, as in Python: ``["image"]``, ``[0]``, ``.pixels``; None if it is not there.

    Example:
        >>> import torch
        >>> x = torch.ones(1)
        >>> place_of(({"image": x}, 3), x)
        "[0]['image']"
    """
    if collection is wanted:
        return ""
    for key, value in [] if isinstance(collection, Tensor) else _parts(collection):
        below = place_of(value, wanted)
        if below is not None:
            return (f".{key}" if _is_dataclass(collection) else f"[{key!r}]") + below
    return None


def _parts(collection: Any) -> list[tuple[Any, Any]]:
    """What a collection holds, by key, position or field; empty if this is not a collection."""
    if isinstance(collection, Mapping):
        return list(collection.items())
    if isinstance(collection, Sequence) and not isinstance(collection, str | bytes | range):
        return list(enumerate(collection))
    if _is_dataclass(collection):
        return [(field.name, getattr(collection, field.name)) for field in fields(collection)]
    return []


def _rebuilt(collection: Any, changed: dict[Any, Any]) -> Any:
    if type(collection) is dict or isinstance(collection, MappingProxyType):
        return changed
    if hasattr(collection, "_make"):  # a named tuple
        return collection._make(changed.values())
    if isinstance(collection, tuple):
        return type(collection)(changed.values())
    if type(collection) is list:
        return list(changed.values())
    one = copy.copy(collection)
    if _is_dataclass(collection):
        for name, value in changed.items():
            object.__setattr__(one, name, value)
        return one
    for key, value in changed.items():  # subclasses of dict and list, Hugging Face's batches
        one[key] = value
    return one


def _is_dataclass(collection: Any) -> bool:
    return is_dataclass(collection) and not isinstance(collection, type)


def is_mask(tensor: Tensor) -> bool:
    """Whether a tensor holds only 0 and 1, as masks and token types do."""
    return bool(((tensor == 0) | (tensor == 1)).all())
