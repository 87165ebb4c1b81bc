"""A dataset beside its annotations.

Samples and batches are objects with two fields, not tuples: a module that unpacks ``x, y = batch`` can never mistake an
annotation for something else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias, TypeVar, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset, IterableDataset, default_collate
from torch.utils.data._utils.collate import default_collate_fn_map
from torch.utils.data._utils.pin_memory import pin_memory

from salreg import checks
from salreg.annotations import NO_PLACE, check, is_annotated
from salreg.data.padded import padded_like_texts
from salreg.data.several_inputs import annotations_by_input, by_name, input_named
from salreg.taps import tensors_in

OfOneInput = Sequence[Tensor | None] | Mapping[int, Tensor] | Callable[[int, Any], Tensor | None] | Tensor
Annotations = OfOneInput | Mapping[str, OfOneInput]


@dataclass
class AnnotatedSample:
    """What the base dataset gave, and its annotation (see ``salreg.annotations``), by input where several are annotated.

    Attributes:
        sample: What the base dataset gave.
        annotation: Laid out like the input.
        looked_at: Whether somebody looked at the sample, so that no mark means that nothing spurious is there. By default it is
            what carries a mark.
    """

    sample: Any
    annotation: Tensor | dict[str, Tensor]
    looked_at: bool | dict[str, bool] | None = None

    def __post_init__(self) -> None:
        if self.looked_at is None:
            self.looked_at = by_name({name: _is_marked(one) for name, one in annotations_by_input(self.annotation).items()})

    @property
    def only_annotation(self) -> Tensor:
        """The annotation, of the only input that has one.

        Raises:
            TypeError: Several inputs are annotated.
        """
        if not isinstance(self.annotation, Tensor):
            raise TypeError(f"This works on one annotated input; here are {', '.join(self.annotation)}.")
        return self.annotation

    def __len__(self) -> NoReturn:  # what default_collate asks for among plain tuples
        raise TypeError(_MIXED)

    def __getitem__(self, key: object) -> NoReturn:  # and among plain mappings
        raise TypeError(_MIXED)

    def __bool__(self) -> bool:
        return True


_MIXED = (
    "A batch mixes annotated samples with plain ones. Wrap the other data, too: ConcatDataset([annotated, "
    "AnnotatedDataset(others, {})]), or give the DataLoader collate_fn=salreg.data.Collate(); nobody looked at its samples "
    "then."
)


if TYPE_CHECKING:
    _T = TypeVar("_T")
    _Beside: TypeAlias = _T | None  # InitVars with a default are attributes, too, which mypy does not know
else:
    _Beside = InitVar


@dataclass
class AnnotatedBatch:
    """A collated batch and its annotations ``(B, ...)``, by input where several are annotated.

    Attributes:
        sample: The collated batch.
        annotation: Of each sample.
        looked_at: Booleans ``(B,)``: the samples that somebody looked at; by default those that carry a mark.
        prepare: What the user's ``on_after_batch_transfer`` does to the batch, which is done when the step runs, so that marks
            and pixels belong together until then; None if there is no such hook.
        part: In a batch that brings those of several loaders together, the key or position of the annotated one's.
        untouched: A copy of the sample from before the user's step, which may change it in place or take things out of it;
            None without one.
    """

    sample: Any
    annotation: Tensor | dict[str, Tensor]
    looked_at: Tensor | dict[str, Tensor] | None = None
    # No fields: Lightning takes what each field holds for a part of the batch when it looks for the batch's size.
    prepare: _Beside[Callable[[Any], Any]] = None
    part: _Beside[Any] = None
    untouched: _Beside[Any] = None

    def __post_init__(self, *beside: Any) -> None:
        self.prepare, self.part, self.untouched = beside
        if self.looked_at is None:
            self.looked_at = by_name({name: is_annotated(one) for name, one in annotations_by_input(self.annotation).items()})

    @classmethod
    def unannotated(cls, batch: Any) -> "AnnotatedBatch":
        """A plain batch, none of whose samples anybody looked at."""
        tensors = [t for t in tensors_in(batch) if t.ndim]
        like = next((t for t in tensors if t.is_floating_point()), None)
        like = tensors[0] if like is None else like
        return cls(batch, like.new_zeros((len(like), *_layout(like.shape[1:])), dtype=torch.int8))

    def pin_memory(self) -> "AnnotatedBatch":
        return AnnotatedBatch(pin_memory(self.sample), pin_memory(self.annotation), pin_memory(self.looked_at))

    @property
    def as_given(self) -> Any:
        """The sample as it was before the user's step."""
        return self.sample if self.untouched is None else self.untouched

    @property
    def annotated_part(self) -> Any:
        """What the annotated loader gave."""
        return self.sample if self.part is None else self.sample[self.part]

    @property
    def annotated_inputs(self) -> dict[str, Tensor]:
        """The annotated inputs by their names; none where there is just one that is not named."""
        return {} if isinstance(self.annotation, Tensor) else {one: input_named(self.sample, one) for one in self.annotation}

    def __getitem__(self, index: object) -> NoReturn:
        raise TypeError(
            "This batch comes from an AnnotatedDataset. Your steps get the plain sample when a salreg callback "
            "(SaliencyRegularizer, SaliencyMetrics or SaliencySnapshots) is among the Trainer's callbacks; in a loop of "
            "your own take batch.sample and batch.annotation, in Hugging Face's Trainer in compute_loss and, for its "
            "evaluation, in prediction_step."
        )

    def keys(self) -> Any:
        """What ``model(**batch)`` asks for."""
        return self["keys"]

    def get(self, key: object, default: object = None) -> Any:
        """What Hugging Face's Trainer asks for in its evaluation."""
        return self[key]


class AnnotatedDataset(Dataset[AnnotatedSample]):
    """A map-style dataset whose samples carry annotations.

    Collates through a plain ``DataLoader`` with any number of workers. With a ``collate_fn`` of your own, pass
    ``collate_fn=Collate(yours)``.

    Args:
        base: Any map-style dataset.
        annotations: One annotation per sample (a sequence or a tensor), a mapping from index to annotation, or a function
            of ``(index, sample)``. A missing one (absent from the mapping, or None) is all zeros: nobody looked. Where several
            inputs of a sample are annotated, one of these for each by its name: ``{"image": masks, "row": row_annotations}``;
            each is penalised for itself.
        empty: What an annotation that is there and marks nothing says: somebody ``"looked at"`` the sample and found nothing
            spurious, or it is ``"unknown"``, as if it were missing.

    Raises:
        TypeError: ``base`` is iterable only.
        ValueError: Another word for ``empty``, lengths that differ or, when a sample is read, values outside [-1, 1] or NaN;
            the sample is named.

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
            raise TypeError(f"The base is a map-style dataset, not {checks.said(base)}.")
        if isinstance(base, IterableDataset):
            raise TypeError("Annotations belong to indices, so the base must be a map-style dataset.")
        size = len(base)  # type: ignore[arg-type]
        self.base = base
        self.annotations = annotations
        self.empty = empty
        for one in self._by_input().values():
            _check_length(one, size)

    def __len__(self) -> int:
        return len(self.base)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> AnnotatedSample:
        index = range(len(self))[index]  # negative indices count from the end; others out of range raise IndexError
        sample = self.base[index]
        found = {name: _annotation(annotations, index, sample, name) for name, annotations in self._by_input().items()}
        looked_at = {name: one is not None and (self.empty == "looked at" or _is_marked(one)) for name, one in found.items()}
        known = {
            name: _unknown(sample if name is None else input_named(sample, name)) if one is None else one
            for name, one in found.items()
        }
        return AnnotatedSample(sample, by_name(known), by_name(looked_at))

    def _by_input(self) -> Mapping[str | None, OfOneInput]:
        names = isinstance(self.annotations, Mapping) and any(isinstance(key, str) for key in self.annotations)
        return cast(Any, self.annotations if names else {None: self.annotations})


class Collate:
    """Apply a collate function to the samples of annotated samples, and stack their annotations.

    Those of texts ``(T,)`` of different lengths are padded by ``NO_PLACE`` on the side on which the collate function pads the
    texts (``salreg.data.padded``).

    Args:
        collate_fn: What turns a list of the base dataset's samples into a batch.
    """

    def __init__(self, collate_fn: Callable[[list[Any]], Any] = default_collate) -> None:
        self.collate_fn = collate_fn

    def __call__(self, samples: list[Any]) -> AnnotatedBatch:
        samples = [one if isinstance(one, AnnotatedSample) else AnnotatedSample(one, _unknown(one), False) for one in samples]
        by_input = [annotations_by_input(one.annotation) for one in samples]
        batch = self.collate_fn([one.sample for one in samples])
        stacked = {name: self._stacked([one[name] for one in by_input], samples, batch, name) for name in by_input[0]}
        looked: list[Any] = [one.looked_at for one in samples]
        looked_at = {
            name: torch.tensor([bool(one[name] if isinstance(one, dict) else one) for one in looked]) for name in stacked
        }
        return AnnotatedBatch(batch, by_name(stacked), by_name(looked_at))

    def _stacked(self, annotations: list[Tensor], samples: list[AnnotatedSample], batch: Any, name: str | None) -> Tensor:
        of_texts = self.collate_fn is not default_collate and all(one.ndim == 1 for one in annotations)
        if not of_texts:
            return _stacked(annotations)
        given = [one.sample if name is None else input_named(one.sample, name) for one in samples]
        part = batch if name is None else input_named(batch, name)
        return padded_like_texts(_of_one_type(annotations), [_as_tensors(one) for one in given], part)


def _collate_annotated(batch: list[Any], *, collate_fn_map: object = None) -> AnnotatedBatch:
    if not all(isinstance(one, AnnotatedSample) for one in batch):
        raise TypeError(_MIXED)
    return Collate()(batch)


default_collate_fn_map[AnnotatedSample] = _collate_annotated


def _check_length(annotations: OfOneInput, size: int) -> None:
    if isinstance(annotations, Mapping):
        for index in annotations:  # 0.5, or a tensor, would never be found
            if not isinstance(index, Integral):
                raise TypeError(f"Annotations are given by a sample's index, a whole number, not by {checks.said(index)}.")
        beyond = [index for index in annotations if not 0 <= index < size]
        if beyond:
            raise ValueError(f"The dataset has {size} samples, but sample {beyond[0]} is annotated too.")
    elif not callable(annotations) and (isinstance(annotations, str) or not hasattr(annotations, "__len__")):
        raise TypeError(
            "Annotations are one per sample (a sequence or a tensor), a mapping from index to annotation, or a function of "
            f"(index, sample), not {checks.said(annotations)}."
        )
    elif not callable(annotations) and len(annotations) != size:
        raise ValueError(f"The dataset has {size} samples, but there are {len(annotations)} annotations.")


def _annotation(annotations: OfOneInput, index: int, sample: Any, name: str | None) -> Tensor | None:
    """One sample's annotation of one input; None where nobody looked."""
    if isinstance(annotations, Mapping):
        found = annotations.get(index)
    else:
        found = annotations(index, sample) if callable(annotations) else annotations[index]
    if found is None:
        return None
    annotation = torch.as_tensor(found)
    check(annotation, f"The annotation of sample {index}" + ("" if name is None else f", input {name!r},"))
    return annotation


def _is_marked(annotation: Tensor) -> bool:
    return bool(is_annotated(annotation.unsqueeze(0)))


def _stacked(annotations: list[Tensor]) -> Tensor:
    shapes = {tuple(one.shape) for one in annotations}
    of_texts = all(len(shape) == 1 for shape in shapes)
    if len(shapes) > 1 and not of_texts:
        raise ValueError(
            f"The annotations of one batch differ in shape: {sorted(shapes)}. Each is laid out like its sample's "
            "map: (1, H, W) for an image of H x W pixels, (F,) for a table's row."
        )
    alike = _of_one_type(annotations)
    return pad_sequence(alike, batch_first=True, padding_value=NO_PLACE) if of_texts else torch.stack(alike)


def _of_one_type(annotations: list[Tensor]) -> list[Tensor]:
    return annotations if len({one.dtype for one in annotations}) == 1 else [one.float() for one in annotations]


def _unknown(sample: Any) -> Tensor:
    """Zeros laid out like the sample's first array: ``(1, H, W)`` for an image ``(C, H, W)``."""
    arrays = [t for t in tensors_in(_as_tensors(sample)) if t.ndim]
    if not arrays:
        raise ValueError("An unannotated sample holds no tensor from which the shape of its annotation could be taken.")
    return torch.zeros(_layout(arrays[0].shape), dtype=torch.int8)


def _layout(shape: Sequence[int]) -> tuple[int, ...]:
    """An annotation's shape for a sample's."""
    return (1, *shape[1:]) if len(shape) == 3 else tuple(shape)


def _as_tensors(sample: Any) -> Any:
    if isinstance(sample, Mapping):
        return [_as_tensors(value) for value in sample.values()]
    if isinstance(sample, list) and sample and all(isinstance(one, int) for one in sample):
        return torch.tensor(sample)
    if isinstance(sample, tuple | list):
        return [_as_tensors(value) for value in sample]
    return torch.from_numpy(sample) if type(sample).__name__ == "ndarray" else sample
