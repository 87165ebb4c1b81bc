"""What is replaced on a module, a DataModule or a callback while salreg callbacks are attached, and put back afterwards.

The replacements are callable objects rather than closures: they pickle, and a deep copy of the module (EMA) is bound to the
copy.
"""

import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from lightning_fabric.utilities.apply_func import move_data_to_device
from torch import Tensor

from salreg.callbacks.overriding import overrides
from salreg.data import AnnotatedBatch
from salreg.interventions.inputs import annotated_input

BATCH_HOOKS = tuple(
    f"on_{stage}_batch_{edge}" for stage in ("train", "validation", "test", "predict") for edge in ("start", "end")
)
TRANSFERS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


class Replacement:
    """Stands for a method of an object, as an attribute of the instance.

    It holds the object and the method's name rather than the bound method, which would not survive pickling under the
    name that it is stored as.
    """

    def __init__(self, owner: Any, name: str) -> None:
        self.owner, self.name = owner, name
        self.replaced = vars(owner).get(name)
        functools.update_wrapper(cast(Any, self), self.method)
        del self.__wrapped__  # looked up anew below, so that a copy follows its own module

    @property
    def method(self) -> Callable[..., Any]:
        return self.replaced or getattr(type(self.owner), self.name).__get__(self.owner)

    def __getattr__(self, name: str) -> Any:
        if name == "__wrapped__":  # through which Lightning sees the signature, and whether the user overrode the method
            return self.method
        raise AttributeError(name)

    def put_in(self) -> None:
        """Take the method's place."""
        setattr(self.owner, self.name, self)

    def put_back(self) -> None:
        """Give the method its place again."""
        if self.replaced is None:
            vars(self.owner).pop(self.name, None)
        else:
            setattr(self.owner, self.name, self.replaced)


class SampleOnly(Replacement):
    """Calls the method with the plain sample in place of an annotated batch."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.method(*map(plain, args), **{name: plain(value) for name, value in kwargs.items()})


class SampleTransfer(Replacement):
    """Calls a transfer hook with the plain sample, and lets the annotation follow to the sample's device."""

    def __call__(self, batch: Any, *args: Any, **kwargs: Any) -> Any:
        batch = gathered(batch)
        if not isinstance(batch, AnnotatedBatch):
            return self.method(batch, *args, **kwargs)
        if self.name == "transfer_batch_to_device":
            device = kwargs["device"] if "device" in kwargs else args[0]
            annotation, looked_at = move_data_to_device((batch.annotation, batch.looked_at), device)
            batch = replace(batch, annotation=annotation, looked_at=looked_at)
        if self.name == "on_after_batch_transfer" and overrides(self.owner, self.name):
            return replace(batch, prepare=lambda sample: self.method(sample, *args, **kwargs))
        sample = self.method(batch.sample, *args, **kwargs)
        if self.name == "on_before_batch_transfer" and overrides(self.owner, self.name):
            _check_places(batch, sample, type(self.owner).__name__)
        return replace(batch, sample=sample)


def _check_places(batch: AnnotatedBatch, sample: Any, owner: str) -> None:
    """Warn if the input is not what it was: the marks may lie on other pixels by now."""
    if not isinstance(batch.annotation, Tensor) or not batch.annotation.any():
        return
    try:
        before, after = (annotated_input(one, batch.annotation).tensor for one in (batch.sample, sample))
    except ValueError:
        return
    if before is not after and not torch.equal(before, after):
        warnings.warn(
            f"{owner}.on_before_batch_transfer changes the annotated input before its marks are used. If it moves pixels, the "
            "marks no longer fit: move both in the dataset with salreg.data.Augmented, or do it in on_after_batch_transfer, "
            "which salreg follows.",
            stacklevel=2,
        )


def plain(value: Any) -> Any:
    """A batch as the user knows it, without annotations."""
    return value.sample if isinstance(value, AnnotatedBatch) else value


def gathered(batch: Any) -> Any:
    """The batches of several loaders, one of which is annotated, as one annotated batch.

    Raises:
        TypeError: Several are annotated.
    """
    parts = dict(batch) if isinstance(batch, Mapping) else dict(enumerate(batch)) if type(batch) in (tuple, list) else {}
    annotated = [key for key, part in parts.items() if isinstance(part, AnnotatedBatch)]
    if not annotated:
        return batch
    if len(annotated) > 1:
        raise TypeError(
            f"Of the loaders whose batches are combined, {' and '.join(map(repr, annotated))} are annotated, but salreg "
            "supports only one. Leave the others without annotations."
        )
    marked = parts[annotated[0]]
    whole: Any = {key: plain(part) for key, part in parts.items()}
    whole = whole if isinstance(batch, Mapping) else type(batch)(whole.values())
    return replace(marked, sample=whole, part=annotated[0])
