"""A dataset with annotations."""

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from salreg import checks
from salreg.annotations import check
from salreg.data.annotated import AnnotatedSample, is_marked
from salreg.data.layout import unknown
from salreg.data.moving_transforms import warn_of_moving_transforms
from salreg.data.several_inputs import by_name, input_named

OfOneInput = Sequence[Tensor | None] | Mapping[int, Tensor] | Callable[[int, Any], Tensor | None] | Tensor
Annotations = OfOneInput | Mapping[str, OfOneInput]


class AnnotatedDataset(Dataset[AnnotatedSample]):
    """A map-style dataset whose samples carry annotations.

    A plain ``DataLoader`` collates it, with any number of workers. If you have your own ``collate_fn``, pass
    ``collate_fn=Collate(yours)``.

    Args:
        base: Any map-style dataset.
        annotations: One annotation per sample (a sequence or a tensor), a mapping from index to annotation, or a function of
            ``(index, sample)``. A missing one (absent from the mapping, or None) counts as all zeros: nobody looked. If several
            inputs of a sample are annotated, give one of these for each by name: ``{"image": masks, "row": row_annotations}``;
            each is penalised separately.
        empty: What an annotation without any mark means: somebody ``"looked at"`` the sample and found nothing spurious, or the
            sample is ``"unknown"``, as if the annotation were missing.

    Transforms of the base that move pixels at random cannot move the annotations, so they cause a warning: ``Augmented`` moves
    both.

    Raises:
        TypeError: ``base`` can only be iterated.
        ValueError: ``empty`` is unknown, lengths differ or, when a sample is read, values are outside [-1, 1] or NaN; the
            message names the sample.

    Example:
        >>> from torch.utils.data import DataLoader, TensorDataset
        >>> base = TensorDataset(torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 0, 1]))
        >>> mark = torch.zeros(1, 8, 8, dtype=torch.int8)
        >>> mark[:, :2, :2] = -1
        >>> batch = next(iter(DataLoader(AnnotatedDataset(base, {2: mark}), batch_size=4)))
        >>> batch.annotation.flatten(1).any(1).tolist()
        [False, False, True, False]
        >>> batch.looked_at.tolist()
        [False, False, True, False]
    """

    def __init__(
        self, base: Dataset[Any], annotations: Annotations, *, empty: Literal["looked at", "unknown"] = "looked at"
    ) -> None:
        checks.choice(("looked at", "unknown"), empty=empty)
        if not (hasattr(base, "__getitem__") or isinstance(base, IterableDataset)):
            raise TypeError(f"The base must be a map-style dataset, not {checks.said(base)}.")
        if isinstance(base, IterableDataset):
            raise TypeError(
                "Annotations belong to indices, so the base must be a map-style dataset. For a stream, give a function of a "
                "sample: salreg.data.AnnotatedStream(base, annotations)."
            )
        size = len(base)  # type: ignore[arg-type]
        self.base = base
        self.annotations = annotations
        self.empty = empty
        for name, one in self._by_input().items():
            if name is not None and not isinstance(name, str):
                raise TypeError(
                    f"Annotations must be keyed by indices or by names of inputs, not by both: {name!r} is no name."
                )
            _check_length(one, size, name)
        warn_of_moving_transforms(base)

    def __len__(self) -> int:
        return len(self.base)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> AnnotatedSample:
        index = range(len(self))[index]  # negative indices count from the end; others out of range raise IndexError
        sample = self.base[index]
        if isinstance(sample, AnnotatedSample):
            raise TypeError(
                f"Sample {index} of the base carries an annotation already: annotate the plain dataset, which is the attribute "
                "base of an AnnotatedDataset."
            )
        found = {name: _annotation(annotations, index, sample, name) for name, annotations in self._by_input().items()}
        looked_at = {name: one is not None and (self.empty == "looked at" or is_marked(one)) for name, one in found.items()}
        known = {
            name: unknown(sample if name is None else input_named(sample, name)) if one is None else one
            for name, one in found.items()
        }
        return AnnotatedSample(sample, by_name(known), by_name(looked_at))

    def _by_input(self) -> Mapping[str | None, OfOneInput]:
        names = isinstance(self.annotations, Mapping) and isinstance(next(iter(self.annotations), None), str)
        return cast(Any, self.annotations if names else {None: self.annotations})


def _check_length(annotations: OfOneInput, size: int, name: str | None) -> None:
    if isinstance(annotations, Mapping):
        for index in annotations:  # 0.5, or a tensor, would never be found; nor a name beside indices
            if not isinstance(index, Integral):
                raise TypeError(f"Annotations must be keyed by a sample's index, a whole number, not by {checks.said(index)}.")
        beyond = [index for index in annotations if not 0 <= index < size]
        if beyond:
            raise ValueError(f"The dataset has {size} samples, but sample {beyond[0]} is annotated too.")
    elif not callable(annotations) and (isinstance(annotations, str) or not hasattr(annotations, "__len__")):
        raise TypeError(
            "Annotations must be one per sample (a sequence or a tensor), a mapping from index to annotation, or a function of "
            f"(index, sample), not {checks.said(annotations)}."
        )
    elif not callable(annotations) and len(annotations) != size:
        of_input = "" if name is None else f" of the input {name!r}"
        hint = f" A sample's index must be a whole number: {name} rather than {name!r}." if (name or "").isdecimal() else ""
        raise ValueError(f"The dataset has {size} samples, but there are {len(annotations)} annotations{of_input}.{hint}")


def _annotation(annotations: OfOneInput, index: int, sample: Any, name: str | None) -> Tensor | None:
    """One sample's annotation of one input; None if nobody looked."""
    if isinstance(annotations, Mapping):
        found = annotations.get(index)
    else:
        found = annotations(index, sample) if callable(annotations) else annotations[index]
    if found is None:
        return None
    annotation = torch.as_tensor(found)
    check(annotation, f"The annotation of sample {index}" + ("" if name is None else f", input {name!r},"))
    return annotation
