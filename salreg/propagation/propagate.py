"""From some marked and looked-at samples to the rest of a dataset."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from tqdm import tqdm

from salreg.data import AnnotatedDataset
from salreg.propagation.carried_over import CarriedOver, enlarged
from salreg.propagation.influence import Model, influence, uncertainty
from salreg.propagation.quality import Counts, PropagationError, Quality, marks_needed
from salreg.propagation.reduced import Reduced, read, spurious
from salreg.propagation.training import STEPS, fit

FOLDS, LEAST_MARKED, LEAST_QUALITY, SIDE = 3, 4, 0.6, 64
_BATCH = 128


@dataclass(frozen=True)
class Propagated:
    """Marks that were carried over.

    Attributes:
        annotations: One ``(1, H, W)`` per sample: the person's own where somebody looked, otherwise -1 where the network finds
            something spurious, and zeros where it finds nothing.
        quality: On held-out samples; None where somebody had looked at every sample.
        look_at_next: The samples that nobody looked at, from the one where another look helps most.
        uncertainty: Of each of these: the expected number of wrong pixels over that of the region's.
        influence: Of each of these, where a model was given: how much its prediction changes without the region, in nats.
    """

    annotations: Sequence[Tensor]
    quality: Quality | None
    look_at_next: list[int] = field(default_factory=list)
    uncertainty: dict[int, float] = field(default_factory=dict)
    influence: dict[int, float] = field(default_factory=dict)


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
    third tells how good they are and from which probability on a pixel is marked. Their mean marks the rest. They see marked
    regions pasted onto other images, those that nobody looked at included. Relevant marks stay with their samples.

    Args:
        dataset: Its samples' first floating point tensor of three axes is the image ``(C, H, W)``. Those that were looked at and
            have no spurious mark teach what to leave alone.
        least_quality: The IoU in [0, 1] on held-out samples below which nothing is carried over.
        model: The trained one, from a batch of images to logits ``(B, K)``: samples on whose found region it relies come
            earlier in ``look_at_next``.
        side: The longer side in pixels at which the networks work; smaller images keep their size.
        steps: Batches that each network is fitted to.
        seed: Of everything random; the random state outside stays as it is.
        device: Where the networks work; a GPU where there is one.
        progress: Whether to show bars.

    Raises:
        TypeError: ``dataset`` is no ``AnnotatedDataset``, or several inputs are annotated.
        PropagationError: Fewer than four marked samples, or a lower quality; says how many marks to make.
        ValueError: A sample that has no image, or an annotation of another size.

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
        raise TypeError(f"Marks are carried over within an AnnotatedDataset, not a {type(dataset).__name__}.")
    reduced = read(dataset, side, progress)
    marked = [index for index, annotation in reduced.own.items() if bool((spurious(annotation) > 0).any())]
    unseen = [index for index in range(len(dataset)) if index not in reduced.own]
    grids = torch.zeros(len(dataset), *reduced.images.shape[-2:], dtype=torch.uint8)
    if not unseen:
        return Propagated(CarriedOver(grids, reduced.sizes, reduced.own, 1.0), None)
    if len(marked) < LEAST_MARKED:
        raise PropagationError(
            f"{len(marked)} of {len(dataset)} samples have a spurious mark, {len(reduced.own)} were looked at; at least "
            f"{LEAST_MARKED} marked ones are needed. Mark 1% of the samples, or 50, whichever is more."
        )
    chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    with torch.random.fork_rng([chosen] if chosen.type == "cuda" else []):
        torch.manual_seed(seed)
        study = _Study(reduced, marked, unseen, steps, chosen, progress)
        networks, quality = study.cross_validated()
        if quality.iou < least_quality:
            raise PropagationError(study.refusal(quality, least_quality))
        for index, grid in study.predicted(networks, unseen):
            grids[index] = (255 * grid).round().to(torch.uint8)
    annotations = CarriedOver(grids, reduced.sizes, reduced.own, quality.threshold)
    return _ranked(dataset, annotations, quality, study, model, progress)


def _ranked(
    dataset: AnnotatedDataset, annotations: CarriedOver, quality: Quality, study: "_Study", model: Model | None, progress: bool
) -> Propagated:
    unsure: dict[int, float] = {}
    for start in range(0, len(study.unseen), _BATCH):
        some = study.unseen[start : start + _BATCH]
        probability = annotations.probabilities[some].float() / 255
        values = uncertainty(probability, quality.threshold, study.usual_region)
        if not quality.clean:  # the person found something on every sample
            values[probability.flatten(1).amax(1) < quality.threshold] = 1.0
        unsure.update(zip(some, values.tolist(), strict=True))
    ranks = _ranks(unsure)
    change: dict[int, float] = {}
    if model is not None:
        change = dict(zip(study.unseen, influence(dataset, annotations, study.unseen, model, progress), strict=True))
        for index, rank in _ranks(change).items():
            ranks[index] += rank
    return Propagated(annotations, quality, sorted(study.unseen, key=ranks.__getitem__), unsure, change)


def _ranks(values: dict[int, float]) -> dict[int, int]:
    """The place of each index in the order of falling values."""
    return {index: place for place, index in enumerate(sorted(values, key=values.__getitem__, reverse=True))}


class _Study:
    """Networks that are fitted to a part of what somebody looked at."""

    def __init__(
        self, reduced: Reduced, marked: list[int], unseen: list[int], steps: int, device: torch.device, progress: bool
    ) -> None:
        self.reduced, self.unseen, self.steps, self.device, self.progress = reduced, unseen, steps, device, progress
        self.marked, self.clean = marked, sorted(set(reduced.own) - set(marked))
        self.usual_region = float(reduced.masks(marked).flatten(1).sum(1).median())
        groups = [[group[i] for i in torch.randperm(len(group)).tolist()] for group in (marked, self.clean)]
        self.folds = [[index for group in groups for index in group[fold::FOLDS]] for fold in range(FOLDS)]

    def cross_validated(self) -> tuple[list[nn.Module], Quality]:
        """A network for each fold that did not see it, and how good they are on what they did not see."""
        held_out: dict[int, Tensor] = {}
        networks = []
        with tqdm(total=FOLDS * self.steps, desc="Learning", disable=not self.progress) as bar:
            for fold in self.folds:
                networks.append(self.fitted([index for index in self.reduced.own if index not in fold], bar.update))
                held_out.update(self.predicted(networks[-1:], fold, progress=False))
        counts = self._counts(held_out)
        threshold, precision, recall, iou = counts.best()
        nothing = {i for i, grid in held_out.items() if not (self._at_own_size(i, grid) >= threshold).any()}
        missed, invented = len(nothing & set(self.marked)), len(set(self.clean) - nothing)
        return networks, Quality(
            precision, recall, iou, threshold, len(self.marked), len(self.clean), missed, invented
        )  # fmt: skip

    def fitted(self, chosen: list[int], on_step: Callable[[], object] = lambda: None) -> nn.Module:
        """A network that saw these samples."""
        images, masks = self.reduced.images[chosen].float(), self.reduced.masks(chosen)
        pool = torch.tensor(self.unseen)

        def backgrounds(count: int) -> Tensor:
            return self.reduced.images[pool[torch.randint(len(pool), (count,))]].float().to(self.device)

        return fit(images.to(self.device), masks.to(self.device), backgrounds, self.steps, on_step)

    @torch.no_grad()
    def predicted(
        self, networks: Sequence[nn.Module], chosen: list[int], progress: bool | None = None
    ) -> list[tuple[int, Tensor]]:
        """The mean of the networks' probabilities ``(h, w)`` for each sample."""
        found: list[tuple[int, Tensor]] = []
        starts = range(0, len(chosen), _BATCH)
        show = self.progress if progress is None else progress
        for start in tqdm(starts, "Carrying over", disable=not show):
            some = chosen[start : start + _BATCH]
            images = self.reduced.images[some].float().to(self.device, memory_format=torch.channels_last)
            mean = sum(net(images).sigmoid() for net in networks) / len(networks)
            assert isinstance(mean, Tensor)
            found += zip(some, mean.squeeze(1).cpu(), strict=True)
        return found

    def refusal(self, quality: Quality, least: float) -> str:
        """Why nothing is carried over, and what to do."""
        fold = set(self.folds[0])
        rest = [index for index in self.marked if index not in fold]
        half = [*rest[::2], *(index for index in self.clean if index not in fold)]
        network = self.fitted(half)
        iou_of_half = self._counts(dict(self.predicted([network], self.folds[0], progress=False))).best()[3]
        needed = marks_needed(len(self.marked), quality.iou, iou_of_half, least)
        advice = (
            f"About {needed - len(self.marked)} more marked samples should do, if more go on helping as they do so far (half as "
            f"many reach an IoU of {iou_of_half:.2f})."
            if needed is not None
            else f"Half as many marks are not worse (IoU {iou_of_half:.2f}), so how many more are needed cannot be told. Are the "
            "marks alike, and is what they mark visible in a small picture?"
        )
        return f"{quality} That is below least_quality={least:g}, so nothing was carried over. {advice}"

    def _counts(self, held_out: dict[int, Tensor]) -> Counts:
        counts = Counts()
        for index, grid in held_out.items():
            counts.add(self._at_own_size(index, grid), spurious(self.reduced.own[index]) >= 0.5)
        return counts

    def _at_own_size(self, index: int, grid: Tensor) -> Tensor:
        return enlarged(grid, self.reduced.sizes[index])
