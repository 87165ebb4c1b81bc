"""Batches with several annotated inputs, each known by its name."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from salreg.names import nearest


def input_named(sample: Any, name: str) -> Any:
    """The entry of that name in a sample or batch, at any depth of its mappings.

    Raises:
        KeyError: There is no such name; the message suggests the nearest one.

    Example:
        >>> input_named(({"image": 1, "row": 2}, 0), "row")
        2
    """
    found = _fields(sample)
    if name not in found:
        raise KeyError(f"{name!r} is annotated, but no mapping in the sample has that key{nearest(name, found)}.")
    return found[name]


def annotations_by_input(annotation: Tensor | Mapping[str, Tensor], only: str | None = None) -> dict[str | None, Tensor]:
    """The annotations by input name; the key is None if there is a single, unnamed input.

    Args:
        annotation: The annotation of a sample or a batch.
        only: The name of the input to return alone.

    Raises:
        KeyError: There is no annotated input of that name.
    """
    if isinstance(annotation, Tensor):
        if only is not None:
            raise KeyError(
                f"input={only!r} is for batches with annotations by name: AnnotatedDataset(base, {{{only!r}: ...}})."
            )
        return {None: annotation}
    if only is None:
        return dict(annotation.items())
    if only not in annotation:
        raise KeyError(f"No input called {only!r} is annotated{nearest(only, annotation)}.")
    return {only: annotation[only]}


def by_name(by_input: Mapping[str | None, Any]) -> Any:
    """What belongs to each input, by name; the bare value if there is a single, unnamed input."""
    return by_input[None] if None in by_input else {str(name): one for name, one in by_input.items()}


def _fields(sample: Any) -> dict[str, Any]:
    if isinstance(sample, Mapping):
        inner = [_fields(value) for value in sample.values()]
        return {key: value for one in (*inner, sample) for key, value in one.items()}
    if isinstance(sample, Sequence) and not isinstance(sample, str | bytes):
        return {key: value for one in sample for key, value in _fields(one).items()}
    return {}
