"""Carries marks over from the samples that somebody looked at to the rest of a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from salreg import checks
from salreg.data import AnnotatedDataset
from salreg.propagation.carried_over import CarriedOver
from salreg.propagation.cross_validation import CrossValidation
from salreg.propagation.influence import Model, influence, uncertainty
from salreg.propagation.quality import PropagationError, Quality
from salreg.propagation.reduced import read
from salreg.propagation.training import STEPS

LEAST_MARKED, LEAST_QUALITY, SIDE = 4, 0.4, 64
_BATCH = 128


@dataclass(frozen=True)
class Propagated:
    """Marks that were carried over.

    Attributes:
        annotations: One ``(1, H, W)`` per sample: the person's annotation if somebody looked; otherwise -1 where the network
            finds something spurious, and 0 elsewhere.
        quality: The quality on held-out samples; None if somebody had looked at every sample.
        look_at_next: The samples that nobody looked at, the most useful to look at first.
        uncertainty: For each of these, the expected number of wrong pixels divided by the number of pixels in the region.
        influence: For each of these, if a model was given: how much its prediction changes without the region, in nats.
    """

    annotations: Sequence[Tensor]
    quality: Quality | None
    look_at_next: list[int] = field(default_factory=list)
    uncertainty: dict[int, float] = field(default_factory=dict)
    influence: dict[int, float] = field(default_factory=dict)

    @property
    def looked_at(self) -> list[int]:
        """The samples that somebody looked at; their annotations are that person's."""
        unseen = set(self.look_at_next)
        return [index for index in range(len(self.annotations)) if index not in unseen]


def propagate(
    dataset: AnnotatedDataset,
    *,
    least_quality: float = LEAST_QUALITY,
    model: Model | None = None,
    side: int = SIDE,
    steps: int = STEPS,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: bool = True,
) -> Propagated:
    """Carry spurious marks over to the samples of a dataset of images that nobody looked at.

    Small networks learn where the marked regions are, each from two thirds of the samples that somebody looked at. The other
    third shows how good they are and from which probability a pixel is to be marked. The mean of their predictions marks the
    rest. In training they see marked regions pasted onto other images, including images that nobody looked at. Relevant marks
    are not carried over.

    Args:
        dataset: The first floating point tensor of three axes in its samples is the image ``(C, H, W)``. Samples that somebody
            looked at and that have no spurious mark teach the networks what not to mark.
        least_quality: The IoU in [0, 1] on held-out samples below which nothing is carried over.
        model: The trained model, a function from a batch of images to logits ``(B, K)``, or to one logit per image: samples in
            which it relies on the found region come earlier in ``look_at_next``.
        side: The longer side, in pixels, that images are reduced to for the networks; smaller images keep their size.
        steps: The number of batches that each network is fitted to.
        seed: The seed of all random numbers; the global random state does not change.
        device: The device of the networks; by default a GPU if there is one.
        progress: Whether to show progress bars.

    Raises:
        TypeError: ``dataset`` is not an ``AnnotatedDataset``, or several inputs are annotated.
        PropagationError: There are fewer than four marked samples, or the quality is too low; the message says how many marks
            to make.
        ValueError: A sample has no image, one with values that are not finite, or an annotation of a different size; there is
            no sample; or the model's output is NaN.

    Example:
        >>> from torch.utils.data import TensorDataset
        >>> images = torch.rand(64, 1, 12, 12) / 2
        >>> masks = torch.zeros(64, 1, 12, 12, dtype=torch.int8)
        >>> for image, mask, column in zip(images, masks, torch.randint(9, (64,)).tolist()):
        ...     image[:, :3, column : column + 3], mask[:, :3, column : column + 3] = 1, -1
        >>> marked = AnnotatedDataset(TensorDataset(images), {index: masks[index] for index in range(16)})
        >>> found = propagate(marked, steps=60, progress=False)
        >>> found.quality.iou > 0.6, len(found.annotations)
        (True, 64)
        >>> AnnotatedDataset(marked.base, found.annotations)[63].looked_at
        True
    """
    if not isinstance(dataset, AnnotatedDataset):
        raise TypeError(f"Marks can be carried over only within an AnnotatedDataset, not a {type(dataset).__name__}.")
    checks.number("[0, 1]", least_quality=least_quality)
    checks.whole(1, side=side, steps=steps)
    checks.whole(0, seed=seed)
    reduced = read(dataset, side, progress)
    marked = len(reduced.marked())
    grids = torch.zeros(len(dataset), *reduced.images.shape[-2:], dtype=torch.uint8)
    if len(reduced.own) == len(dataset):
        return Propagated(CarriedOver(grids, reduced.sizes, reduced.own, 1.0), None)
    if marked < LEAST_MARKED:
        others = " Relevant marks are not carried over." if any((one > 0).any() for one in reduced.own.values()) else ""
        raise PropagationError(
            f"{marked} of {len(dataset)} samples have a spurious mark, {len(reduced.own)} were looked at; at least "
            f"{LEAST_MARKED} marked ones are needed. Mark 1% of the samples, or 50, whichever is more.{others}"
        )
    chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    with torch.random.fork_rng([chosen] if chosen.type == "cuda" else []):
        torch.manual_seed(seed)
        fitted = CrossValidation(reduced, steps, chosen, progress)
        quality = fitted.quality
        if quality.iou < least_quality:
            raise PropagationError(
                f"{quality} The IoU is below the least IoU of {least_quality:g}, so nothing was carried over. "
                f"{fitted.advice(least_quality)}"
            )
        for index, grid in fitted.predicted():
            grids[index] = (255 * grid).round().to(torch.uint8)
    annotations = CarriedOver(grids, reduced.sizes, reduced.own, quality.threshold)
    region = float(reduced.masks(reduced.marked()).flatten(1).sum(1).median())
    unsure = _uncertainties(annotations, fitted.unseen, quality, region)
    change: dict[int, float] = {}
    if model is not None:
        change = dict(zip(fitted.unseen, influence(dataset, annotations, fitted.unseen, model, progress), strict=True))
    ranks = [_ranks(one) for one in (unsure, change) if one]
    order = sorted(fitted.unseen, key=lambda index: sum(rank[index] for rank in ranks))
    return Propagated(annotations, quality, order, unsure, change)


def _uncertainties(annotations: CarriedOver, unseen: list[int], quality: Quality, region: float) -> dict[int, float]:
    found: dict[int, float] = {}
    for start in range(0, len(unseen), _BATCH):
        some = unseen[start : start + _BATCH]
        probability = annotations.probabilities[some].float() / 255
        values = uncertainty(probability, quality.threshold, region)
        if not quality.clean:  # the person found something on every sample
            values[probability.flatten(1).amax(1) < quality.threshold] = 1.0
        found.update(zip(some, values.tolist(), strict=True))
    return found


def _ranks(values: dict[int, float]) -> dict[int, int]:
    """The place of each index in the order of falling values; equal values share one."""
    places = {value: place for place, value in enumerate(sorted(set(values.values()), reverse=True))}
    return {index: places[value] for index, value in values.items()}
