"""Counterexamples: the same sample and label again, with the spurious region replaced."""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset

from salreg import checks
from salreg.annotations import marks
from salreg.data.annotated import AnnotatedSample
from salreg.data.annotated_dataset import AnnotatedDataset
from salreg.interventions.replacements import replace
from salreg.rng import Rng
from salreg.taps import replace_tensor, tensors_in


class Counterexamples(Dataset[AnnotatedSample]):
    """An annotated dataset followed by counterexamples of its samples (CE: Teso & Kersting 2019; Friedrich et al. 2023).

    Each copy shows random content in its spurious region, drawn anew in every epoch; label and annotation stay the same.
    Samples without spurious marks get no copy. Every annotation is read once at the start.

    Args:
        base: The annotated dataset; the first floating point tensor of its samples is changed.
        copies: The number of counterexamples per annotated sample.
        replacement: ``uniform`` noise in the range of the sample's channel, or ``shuffle`` of the region's places.

    Raises:
        TypeError: ``base`` is not an ``AnnotatedDataset``.
        ValueError: ``copies`` is below 1, the replacement is unknown, or no sample has a spurious mark.

    Example:
        >>> from torch.utils.data import TensorDataset
        >>> mark = torch.zeros(1, 4, 4)
        >>> mark[:, :2, :2] = -1
        >>> base = AnnotatedDataset(TensorDataset(torch.rand(3, 1, 4, 4), torch.arange(3)), {1: mark})
        >>> len(Counterexamples(base, copies=2))
        5
    """

    def __init__(self, base: AnnotatedDataset, copies: int = 1, replacement: Literal["uniform", "shuffle"] = "uniform") -> None:
        if not isinstance(base, AnnotatedDataset):
            raise TypeError(f"Counterexamples need an AnnotatedDataset, not {type(base).__name__}.")
        checks.whole(1, copies=copies)
        checks.choice(("uniform", "shuffle"), replacement=replacement)
        self.base = base
        self.copies = copies
        self.replacement = replacement
        self.annotated = [index for index in range(len(base)) if bool((base[index].only_annotation < 0).any())]
        if not self.annotated:
            raise ValueError("No sample carries a spurious mark, so there is nothing to make counterexamples from.")

    def __len__(self) -> int:
        return len(self.base) + self.copies * len(self.annotated)

    def __getitem__(self, index: int) -> AnnotatedSample:
        index = range(len(self))[index]
        if index < len(self.base):
            return self.base[index]
        original = self.base[self.annotated[(index - len(self.base)) % len(self.annotated)]]
        given = next((tensor for tensor in tensors_in(original.sample) if tensor.is_floating_point()), None)
        if given is None:
            raise ValueError("The sample holds no floating point tensor whose spurious region could be replaced.")
        changed = replace_tensor(original.sample, given, self._changed(given, original))
        return AnnotatedSample(changed, original.annotation, original.looked_at)

    def _changed(self, given: Tensor, original: AnnotatedSample) -> Tensor:
        # Seeded from the worker's own random state, which the DataLoader makes another one in every worker and epoch.
        rng = Rng(int(torch.randint(2**31, ())))
        region: Any = marks(original.only_annotation.float()).spurious
        return replace(given.unsqueeze(0), region.unsqueeze(0), self.replacement, rng).squeeze(0)
