"""A sample with its annotation, and a batch of them.

They are objects with fields, not tuples, so a module that unpacks ``x, y = batch`` can never get an annotation by mistake.
"""

from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

import torch
from torch import Tensor
from torch.utils.data._utils.pin_memory import pin_memory

from salreg.annotations import is_annotated
from salreg.complex_inputs import refuse_unsliceable
from salreg.data.graphs import refuse_graph
from salreg.data.layout import layout, of_series
from salreg.data.several_inputs import annotations_by_input, by_name, input_named
from salreg.taps import tensors_in

if TYPE_CHECKING:
    _T = TypeVar("_T")
    _Beside: TypeAlias = _T | None  # InitVars with a default are attributes, too, which mypy does not know
else:
    _Beside = InitVar

MIXED = (
    "A batch mixes annotated samples with plain ones. Wrap the other data too: ConcatDataset([annotated, "
    "AnnotatedDataset(others, {})]), or give the DataLoader collate_fn=salreg.data.Collate(); its samples then count as not "
    "looked at."
)
_READ_AS_PLAIN = (
    "Something reads the samples of an AnnotatedDataset as if they were plain ones. With Hugging Face's Trainer, use "
    "SaliencyTrainerMixin: class SaliencyTrainer(SaliencyTrainerMixin, Trainer): pass (salreg.callbacks.huggingface). With a "
    "collate function of your own, use DataLoader(..., collate_fn=salreg.data.Collate(yours)). If a batch mixes annotated "
    "samples with plain ones, wrap the other data too: ConcatDataset([annotated, AnnotatedDataset(others, {})])."
)


@dataclass
class AnnotatedSample:
    """A sample of the base dataset, and its annotation (see ``salreg.annotations``), by input name if several are annotated.

    Attributes:
        sample: What the base dataset returned.
        annotation: Laid out like the input.
        looked_at: Whether somebody looked at the sample; if so, no mark means that nothing spurious is there. By default True
            if the annotation carries a mark.
    """

    sample: Any
    annotation: Tensor | dict[str, Tensor]
    looked_at: bool | dict[str, bool] | None = None

    def __post_init__(self) -> None:
        refuse_graph(self.sample)
        if self.looked_at is None:
            self.looked_at = by_name({name: is_marked(one) for name, one in annotations_by_input(self.annotation).items()})

    @property
    def only_annotation(self) -> Tensor:
        """The annotation of the only annotated input.

        Raises:
            TypeError: Several inputs are annotated.
        """
        if not isinstance(self.annotation, Tensor):
            raise TypeError(f"This works with a single annotated input, but there are several: {', '.join(self.annotation)}.")
        return self.annotation

    def __len__(self) -> NoReturn:  # what default_collate asks for among plain tuples
        raise TypeError(MIXED)

    def __getitem__(self, key: object) -> NoReturn:
        raise TypeError(_READ_AS_PLAIN)

    def __contains__(self, key: object) -> NoReturn:
        raise TypeError(_READ_AS_PLAIN)

    def keys(self) -> NoReturn:
        raise TypeError(_READ_AS_PLAIN)

    def __bool__(self) -> bool:
        return True


# Hugging Face's collators take the fields of what is no mapping for columns; a mapping they ask for its keys, and are told.
Mapping.register(AnnotatedSample)


@dataclass
class AnnotatedBatch:
    """A collated batch and its annotations ``(B, ...)``, by input name if several are annotated.

    Attributes:
        sample: The collated batch.
        annotation: The annotation of each sample.
        looked_at: Booleans ``(B,)``: the samples that somebody looked at; by default those that carry a mark.
        prepare: What the user's ``on_after_batch_transfer`` does to the batch. It is applied only when the step runs, so that
            marks and pixels stay aligned until then; None if there is no such hook.
        part: In a batch that combines those of several loaders, the key or position of the annotated one.
        untouched: A copy of the sample made before the user's step, which may change it in place or remove items from it; None
            if there is no copy.
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
        by_input = annotations_by_input(self.annotation)
        self.annotation = by_name({name: of_series(one, self.sample, name) for name, one in by_input.items()})
        refuse_unsliceable(tensors_in(self.sample), len(next(iter(by_input.values()))))
        if self.looked_at is None:
            self.looked_at = by_name({name: is_annotated(one) for name, one in annotations_by_input(self.annotation).items()})

    @classmethod
    def unannotated(cls, batch: Any) -> "AnnotatedBatch":
        """Wrap a plain batch in which nobody looked at any sample."""
        refuse_graph(batch)
        tensors = [t for t in tensors_in(batch) if t.ndim]
        like = next((t for t in tensors if t.is_floating_point()), None)
        like = tensors[0] if like is None else like
        return cls(batch, like.new_zeros((len(like), *layout(like.shape[1:])), dtype=torch.int8))

    def pin_memory(self) -> "AnnotatedBatch":
        return AnnotatedBatch(pin_memory(self.sample), pin_memory(self.annotation), pin_memory(self.looked_at))

    @property
    def as_given(self) -> Any:
        """The sample as it was before the user's step."""
        return self.sample if self.untouched is None else self.untouched

    @property
    def annotated_part(self) -> Any:
        """The part of the batch that the annotated loader returned."""
        return self.sample if self.part is None else self.sample[self.part]

    @property
    def annotated_inputs(self) -> dict[str, Tensor]:
        """The annotated inputs by name; empty if there is a single, unnamed input."""
        return {} if isinstance(self.annotation, Tensor) else {one: input_named(self.sample, one) for one in self.annotation}

    def __getitem__(self, index: object) -> NoReturn:
        raise TypeError(
            "This batch comes from an AnnotatedDataset. Your steps get the plain sample when a salreg callback "
            "(SaliencyRegularizer, SaliencyMetrics or SaliencySnapshots) is among the Trainer's callbacks; in your own loop, "
            "use batch.sample and batch.annotation; with Hugging Face's Trainer, use SaliencyTrainerMixin "
            "(salreg.callbacks.huggingface)."
        )

    def keys(self) -> Any:
        """The keys of the sample, for ``model(**batch)``."""
        return self["keys"]

    def get(self, key: object, default: object = None) -> Any:
        """An entry of the sample, as Hugging Face's Trainer reads it in evaluation."""
        return self[key]


def is_marked(annotation: Tensor) -> bool:
    return bool(is_annotated(annotation.unsqueeze(0)))
