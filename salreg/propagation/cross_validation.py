"""Networks that are each fitted to a part of the samples that somebody looked at, and evaluated on the other part."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from tqdm import tqdm

from salreg.propagation.carried_over import enlarged
from salreg.propagation.quality import Counts, Quality, marks_needed
from salreg.propagation.reduced import Reduced, spurious
from salreg.propagation.training import fit

FOLDS = 3
_BATCH = 128


class CrossValidation:
    """Three networks, each of which saw two thirds of the marked and of the clean samples.

    Args:
        reduced: The dataset.
        steps: The number of batches that each network is fitted to.
        device: The device of the networks.
        progress: Whether to show progress bars.

    Attributes:
        marked: The samples that have a spurious mark.
        clean: The samples that somebody looked at and that have none.
        unseen: The samples that nobody looked at.
        networks: One for each fold.
        quality: The quality of the networks on the folds that they did not see.
    """

    def __init__(self, reduced: Reduced, steps: int, device: torch.device, progress: bool) -> None:
        self.reduced, self.steps, self.device, self.progress = reduced, steps, device, progress
        self.marked = reduced.marked()
        self.clean = sorted(set(reduced.own) - set(self.marked))
        self.unseen = [index for index in range(len(reduced.sizes)) if index not in reduced.own]
        groups = [[group[place] for place in torch.randperm(len(group)).tolist()] for group in (self.marked, self.clean)]
        self._folds = [[index for group in groups for index in group[fold::FOLDS]] for fold in range(FOLDS)]
        masks = reduced.masks(self.marked).flatten(1)
        # The smaller part is easier to find, and to paste: birds rather than what is around them.
        self._seeks_the_rest = bool(masks.mean() > 0.5) and bool((masks < 1).any(1).all())
        self.networks: list[nn.Module] = []
        self.quality = self._validated()

    def predicted(self) -> list[tuple[int, Tensor]]:
        """The mean of the networks' probabilities ``(h, w)`` for each sample that nobody looked at, with its index."""
        return self._predicted(self.networks, self.unseen, self.progress)

    def advice(self, least: float) -> str:
        """An estimate of how many more marks would reach an IoU, based on what half of the marks reach."""
        fold = self._folds[0]
        rest = [[index for index in group if index not in fold] for group in (self.marked, self.clean)]
        network = self._fitted([*rest[0][::2], *rest[1]])
        half = self._counts(dict(self._predicted([network], fold))).best().iou
        needed = marks_needed(len(self.marked), self.quality.iou, half, least)
        if needed is None:
            return (
                f"Half as many marks reach an IoU of {half:.2f}, so the number of marks needed cannot be estimated. Are the "
                "marks consistent, and is the marked feature visible in a small picture?"
            )
        return (
            f"About {needed - len(self.marked)} more marked samples should be enough if each continues to help as much as so "
            f"far: half as many reach an IoU of {half:.2f}."
        )

    def _validated(self) -> Quality:
        held_out: dict[int, Tensor] = {}
        with tqdm(total=FOLDS * self.steps, desc="Learning", disable=not self.progress) as bar:
            for fold in self._folds:
                self.networks.append(self._fitted([index for index in self.reduced.own if index not in fold], bar.update))
                held_out.update(self._predicted(self.networks[-1:], fold))
        best = self._counts(held_out).best()
        nothing = {one for one, grid in held_out.items() if not (self._at_own_size(one, grid) >= best.threshold).any()}
        missed, invented = len(nothing.intersection(self.marked)), len(set(self.clean) - nothing)
        return Quality(*best, len(self.marked), len(self.clean), missed, invented)

    def _fitted(self, chosen: list[int], on_step: Callable[[], object] = lambda: None) -> nn.Module:
        images, masks = self.reduced.images[chosen].float(), self._sought(self.reduced.masks(chosen))
        pool = torch.tensor(self.unseen)

        def backgrounds(count: int) -> Tensor:
            return self.reduced.images[pool[torch.randint(len(pool), (count,))]].float().to(self.device)

        return fit(images.to(self.device), masks.to(self.device), backgrounds, self.steps, on_step)

    @torch.no_grad()
    def _predicted(self, networks: Sequence[nn.Module], chosen: list[int], progress: bool = False) -> list[tuple[int, Tensor]]:
        found: list[tuple[int, Tensor]] = []
        for start in tqdm(range(0, len(chosen), _BATCH), "Carrying over", disable=not progress):
            some = chosen[start : start + _BATCH]
            images = self.reduced.images[some].float().to(self.device, memory_format=torch.channels_last)
            mean = torch.stack([net(images).sigmoid() for net in networks]).mean(0)
            found += zip(some, self._sought(mean).squeeze(1).cpu(), strict=True)
        return found

    def _sought(self, spurious: Tensor) -> Tensor:
        """The part of the images that the networks look for, from the part that is spurious, and the other way round."""
        return 1 - spurious if self._seeks_the_rest else spurious

    def _counts(self, held_out: dict[int, Tensor]) -> Counts:
        counts = Counts()
        for index, grid in held_out.items():
            counts.add(self._at_own_size(index, grid), spurious(self.reduced.own[index]) >= 0.5)
        return counts

    def _at_own_size(self, index: int, grid: Tensor) -> Tensor:
        return enlarged(grid, self.reduced.sizes[index])
