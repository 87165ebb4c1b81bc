"""Streams with annotations: data that has an order but no indices."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from salreg import checks
from salreg.annotations import check
from salreg.data.annotated import AnnotatedSample, is_marked
from salreg.data.layout import unknown
from salreg.data.several_inputs import by_name, input_named

OfSample = Callable[[Any], Tensor | None]


class Annotate:
    """Maps a sample to the same sample with its annotation, for streams.

    Use it with ``webdataset``'s ``.map(Annotate(...))`` or litdata's ``StreamingDataset(..., transform=Annotate(...))``.
    ``salreg.data.Collate()`` collates their samples; a plain ``DataLoader`` does so automatically.

    Args:
        annotations: A function that maps a sample to its annotation, to None if nobody looked, or to several annotations by
            input name.
        empty: What an annotation without any mark means, as in ``AnnotatedDataset``.

    Raises:
        TypeError: ``annotations`` is not a function.
        ValueError: ``empty`` is unknown or, when a sample is read, values are outside [-1, 1] or NaN.

    Example:
        >>> annotate = Annotate(lambda sample: sample["mask"])
        >>> annotate({"x": torch.rand(3), "mask": torch.tensor([-1, 0, 0])}).looked_at
        True
    """

    def __init__(
        self, annotations: OfSample | Mapping[str, OfSample], *, empty: Literal["looked at", "unknown"] = "looked at"
    ) -> None:
        checks.choice(("looked at", "unknown"), empty=empty)
        named = isinstance(annotations, Mapping)
        self.annotations: Mapping[str | None, OfSample] = cast(Any, annotations if named else {None: annotations})
        for one in self.annotations.values():
            if not callable(one):
                raise TypeError(
                    "Samples of a stream have no index, so their annotations must be given by a function of a sample, not by "
                    f"{checks.said(one)}."
                )
        self.empty = empty

    def __call__(self, sample: Any) -> AnnotatedSample:
        found: dict[str | None, Tensor] = {}
        looked_at: dict[str | None, bool] = {}
        for name, annotation_of in self.annotations.items():
            given = annotation_of(sample)
            looked_at[name] = given is not None and (self.empty == "looked at" or is_marked(torch.as_tensor(given)))
            if given is None:
                found[name] = unknown(sample if name is None else input_named(sample, name))
            else:
                found[name] = torch.as_tensor(given)
                check(found[name], "An annotation of the stream" + ("" if name is None else f", of input {name!r},"))
        return AnnotatedSample(sample, by_name(found), by_name(looked_at))


class AnnotatedStream(IterableDataset[AnnotatedSample]):
    """An iterable dataset whose samples carry annotations.

    The base determines workers, length, and where the stream resumes after an interruption (``state_dict``). Snapshots draw the
    first batch with marks.

    Args:
        base: Any iterable dataset; as usual, it has to give each worker its own share.
        annotations: As in ``Annotate``; so is ``empty``.

    Raises:
        TypeError: ``base`` cannot be iterated, or ``annotations`` is not a function.
        ValueError: As in ``Annotate``.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> class Numbers(IterableDataset):
        ...     def __iter__(self):
        ...         return iter(torch.arange(6.0).view(3, 2))
        >>> stream = AnnotatedStream(Numbers(), lambda row: torch.tensor([-1, 0]) if row[0] else None)
        >>> next(iter(DataLoader(stream, batch_size=3))).looked_at.tolist()
        [False, True, True]
    """

    def __init__(
        self,
        base: Dataset[Any],
        annotations: OfSample | Mapping[str, OfSample],
        *,
        empty: Literal["looked at", "unknown"] = "looked at",
    ) -> None:
        if not hasattr(base, "__iter__"):
            raise TypeError(f"The base of a stream must be an iterable dataset, not {checks.said(base)}; see AnnotatedDataset.")
        self.base = base
        self.annotate = Annotate(annotations, empty=empty)

    def __iter__(self) -> Iterator[AnnotatedSample]:
        return map(self.annotate, self.base)

    def __len__(self) -> int:
        return len(self.base)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        if name not in ("state_dict", "load_state_dict", "set_epoch"):  # what loaders ask a stream for
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")
        return getattr(self.base, name)
