"""A sample, and a batch of them, beside their annotations.

They are objects with fields, not tuples: a module that unpacks ``x, y = batch`` can never mistake an annotation for something
else.
"""

from collections.abc import Callable
from dataclasses import InitVar, dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

import torch
from torch import Tensor
from torch.utils.data._utils.pin_memory import pin_memory

from salreg.annotations import is_annotated
from salreg.complex_inputs import refuse_unsliceable
from salreg.data.graphs import refuse_graph
from salreg.data.layout import layout
from salreg.data.several_inputs import annotations_by_input, by_name, input_named
from salreg.taps import tensors_in

if TYPE_CHECKING:
    _T = TypeVar("_T")
    _Beside: TypeAlias = _T | None  # InitVars with a default are attributes, too, which mypy does not know
else:
    _Beside = InitVar

MIXED = (
    "A batch mixes annotated samples with plain ones. Wrap the other data, too: ConcatDataset([annotated, "
    "AnnotatedDataset(others, {})]), or give the DataLoader collate_fn=salreg.data.Collate(); nobody looked at its samples "
    "then."
)


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
        refuse_graph(self.sample)
        if self.looked_at is None:
            self.looked_at = by_name({name: is_marked(one) for name, one in annotations_by_input(self.annotation).items()})

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
        raise TypeError(MIXED)

    def __getitem__(self, key: object) -> NoReturn:  # and among plain mappings
        raise TypeError(MIXED)

    def __bool__(self) -> bool:
        return True


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
        refuse_unsliceable(tensors_in(self.sample), len(next(iter(annotations_by_input(self.annotation).values()))))
        if self.looked_at is None:
            self.looked_at = by_name({name: is_annotated(one) for name, one in annotations_by_input(self.annotation).items()})

    @classmethod
    def unannotated(cls, batch: Any) -> "AnnotatedBatch":
        """A plain batch, none of whose samples anybody looked at."""
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


def is_marked(annotation: Tensor) -> bool:
    return bool(is_annotated(annotation.unsqueeze(0)))
