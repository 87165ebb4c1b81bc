"""Turns any model output into probabilities, batch by batch."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from salreg import checks
from salreg.metrics.functional.predictions import probabilities

Outputs = Literal["logits", "probabilities"]


class Predicted(NamedTuple):
    """Classes ``(N,)``, and the probability of each class ``(N, C)``."""

    classes: Tensor
    probability: Tensor


class Predictor:
    """Calls a model in batches.

    Args:
        model: Maps a list of texts, or rows ``(B, F)``, to logits or probabilities ``(B, C)``; for two classes also to one
            number per sample, ``(B,)`` or ``(B, 1)``, that of the second class.
        outputs: Which of the two it returns.
        batch_size: The number of samples per batch.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: ``outputs`` is unknown.
    """

    def __init__(
        self, model: Callable[[Any], Any], outputs: Outputs = "logits", batch_size: int = 256, progress: bool = True
    ) -> None:
        checks.choice(("logits", "probabilities"), outputs=outputs)
        checks.whole(batch_size=batch_size)
        self.model, self.outputs, self.batch_size = model, outputs, batch_size
        self._hidden = None if progress else True
        self._is_first = True

    def __call__(self, samples: Sequence[str] | Tensor, what: str = "Predicting") -> Predicted:
        """Predict samples.

        Raises:
            ValueError: The model does not return one row per sample, or it returns NaN, or probabilities instead of logits, or
                the reverse.
        """
        found = []
        starts = range(0, len(samples), self.batch_size)
        for start in tqdm(starts, what, leave=False, disable=self._hidden or len(starts) < 4 or None):
            some = samples[start : start + self.batch_size]
            with torch.no_grad():
                found.append(self._probability(torch.as_tensor(self.model(some)).detach().cpu().float(), len(some)))
        probability = torch.cat(found) if found else torch.zeros(0, 2)
        return Predicted(probability.argmax(1), probability)

    def _probability(self, output: Tensor, count: int) -> Tensor:
        output = output.unsqueeze(1) if output.ndim == 1 else output
        if output.ndim != 2 or len(output) != count:
            raise ValueError(
                f"The model returns shape {tuple(output.shape)} for {count} samples; it must return one row each, ({count}, C)."
            )
        if not output.isfinite().all():
            raise ValueError("The model's output is NaN or infinite, so nothing can be said about what it relies on.")
        if output.shape[1] == 1 and self.outputs == "probabilities":
            output = torch.cat([1 - output, output], 1)
        proper = bool(((output >= 0) & (output <= 1)).all()) and torch.allclose(output.sum(1), torch.ones(count), atol=1e-4)
        if self.outputs == "probabilities":
            if not proper:
                raise ValueError("The model's outputs are not probabilities (in [0, 1] with the sum 1): use outputs='logits'.")
            return output
        first, self._is_first = self._is_first, False
        if first and proper and output.shape[1] > 1 and count > 1:
            raise ValueError("The model's outputs are probabilities (in [0, 1] with the sum 1): use outputs='probabilities'.")
        return probabilities(output)
