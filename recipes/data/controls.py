"""Marks that are wrong on purpose: if training with them helps as well, it does not help because of what a person marked."""

import torch
from torch import Tensor

from salreg.annotations import NO_PLACE, SPURIOUS, UNKNOWN, resized
from salreg.data import AnnotatedDataset
from salreg.names import nearest

CONTROLS = ("random places", "other samples", "everything")


def controlled(dataset: AnnotatedDataset, control: str | None, seed: int) -> AnnotatedDataset:
    """The same samples with other marks.

    Args:
        dataset: A dataset of images, texts or rows, annotated at one input.
        control: ``random places``: each sample's marks are moved to a random place in it, wrapping around at the edges; those
            of a text or row are moved to other tokens or columns. ``other samples``: each sample gets the marks of another one,
            resized to fit. ``everything``: the whole sample is marked spurious. None changes nothing.
        seed: The seed for drawing places and samples.

    Raises:
        ValueError: ``control`` is none of these.
    """
    if control is None:
        return dataset
    if control not in CONTROLS:
        raise ValueError(
            f"data.control must be null or {', '.join(CONTROLS)}, not {control!r}{nearest(str(control), CONTROLS)}."
        )
    return AnnotatedDataset(dataset.base, _Wrong(dataset, control, seed), empty=dataset.empty)


class _Wrong:
    """Annotations that are computed when their sample is read."""

    def __init__(self, dataset: AnnotatedDataset, control: str, seed: int) -> None:
        self.dataset, self.control = dataset, control
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(dataset), generator=generator)
        self.other = torch.empty_like(order).scatter_(0, order, order.roll(1))
        self.seeds = torch.randint(2**31, (len(dataset),), generator=generator)

    def __call__(self, index: int, sample: object) -> Tensor | None:
        own = self.dataset[index]
        annotation = own.only_annotation
        if self.control == "everything":
            return annotation.masked_fill(annotation != NO_PLACE, SPURIOUS)
        if self.control == "random places":
            return moved(annotation, torch.Generator().manual_seed(int(self.seeds[index]))) if own.looked_at else None
        other = self.dataset[int(self.other[index])]
        return brought_to(annotation, other.only_annotation) if other.looked_at else None


def moved(annotation: Tensor, generator: torch.Generator) -> Tensor:
    """An annotation ``(1, H, W)`` or ``(T,)`` rolled by random offsets other than 0; in a text, marks stay on words."""
    places = annotation != NO_PLACE
    if annotation.ndim == 1:
        words = annotation[places]
        return annotation.masked_scatter(places, words.roll(_offset(len(words), generator)))
    height, width = annotation.shape[-2:]
    offset = _offset(height * width, generator)
    return annotation.roll((offset // width, offset % width), dims=(-2, -1))


def brought_to(like: Tensor, annotation: Tensor) -> Tensor:
    """Another sample's annotation, resized to this one's places; marks on a text keep their relative position in it."""
    if annotation.ndim > 1:
        return annotation if annotation.shape == like.shape else resized(annotation, (like.shape[-2], like.shape[-1]))
    words = like != NO_PLACE
    marks = annotation[annotation != NO_PLACE]
    found = torch.full((int(words.sum()),), UNKNOWN, dtype=annotation.dtype)
    marked = marks.nonzero().flatten()
    found[marked * len(found) // max(len(marks), 1)] = marks[marked]
    return like.to(annotation.dtype).masked_scatter(words, found)


def _offset(size: int, generator: torch.Generator) -> int:
    return int(torch.randint(1, size, (), generator=generator)) if size > 1 else 0
