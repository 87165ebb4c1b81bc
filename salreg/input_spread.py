"""The unit of an input: its standard deviation, channel by channel."""

from typing import Any

import torch
from torch import Tensor

from salreg.distributed import accumulation_dtype, sum_over_ranks


class InputSpread:
    """Running standard deviation of each channel (dimension 1) over the annotated samples seen so far.

    A gradient multiplied by it is in score per standard deviation, so that rescaling the data does not change a penalty. All
    samples so far count alike, including those of all processes in distributed training. A channel that has not varied yet has
    spread 0, because nothing could be learned from it.
    """

    def __init__(self) -> None:
        self._moments: Tensor | None = None  # rows: count, sum, sum of squares; one column per channel

    def update(self, inputs: Tensor, annotated: Tensor, by_place: bool = False) -> None:
        """Add the annotated samples of a batch ``(B, C, ...)``; every process must call it.

        Args:
            inputs: The batch.
            annotated: Booleans ``(B,)``.
            by_place: Whether each place of a sample has a unit of its own: in a series ``(B, T, F)`` that is marked feature by
                feature it is not known which of the axes are the channels.

        Raises:
            ValueError: The number of channels differs from before.
        """
        inputs = inputs.flatten(1) if by_place else inputs
        moments = sum_over_ranks(_moments(inputs.detach(), annotated))
        if self._moments is not None and self._moments.shape != moments.shape:
            raise ValueError(
                f"The input has {moments.shape[1]} channels, and those before, in this training or in the checkpoint that it "
                f"continues, had {self._moments.shape[1]}. Bring all samples to one layout, or start a new training."
            )
        self._moments = moments if self._moments is None else self._moments.to(moments) + moments

    def __call__(self, inputs: Tensor) -> Tensor:
        """The spread, shaped ``(1, C, 1, ...)`` to multiply the inputs' gradient."""
        assert self._moments is not None, "update comes first"
        count, total, squares = self._moments
        count = count.clamp(min=1)
        variance = squares / count - (total / count).square()
        # Below this the difference of the two terms is rounding, not spread.
        noise = 1e-12 * squares / count
        deviation = variance.where(variance > noise, variance.new_zeros(())).sqrt()
        deviation = deviation.to(inputs.dtype)
        if len(deviation) == inputs[0].numel():
            return deviation.view(1, *inputs.shape[1:])
        return deviation.view(1, -1, *[1] * (inputs.ndim - 2))

    def state_dict(self) -> dict[str, Any]:
        return {"moments": self._moments}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._moments = state["moments"]


def _moments(inputs: Tensor, annotated: Tensor) -> Tensor:
    if len(inputs) != len(annotated):
        raise ValueError(
            f"The input that is explained, of shape {tuple(inputs.shape)}, does not hold the batch's {len(annotated)} samples, "
            "as where a batch is a list of images. Collate them to one tensor (padded to one size, the annotations, too), or "
            "explain a layer: attribution={'name': 'grad_cam', 'layer': '...'}."
        )
    # Rows are selected rather than weighted: an unannotated sample may hold anything, NaN included.
    chosen = inputs if annotated.all() else inputs[annotated]
    if not len(chosen):
        return torch.zeros(3, inputs.shape[1], dtype=accumulation_dtype(inputs.device), device=inputs.device)
    rest = [axis for axis in range(inputs.ndim) if axis != 1]
    if chosen.dtype in (torch.float16, torch.bfloat16):
        chosen = chosen.float()
    mean = chosen.mean(rest, keepdim=True)
    # Deviations from the batch's own mean keep single precision exact enough; torch.var_mean is six times slower.
    deviation = torch.linalg.vector_norm(chosen - mean, dim=rest)
    mean, deviation = (one.flatten().to(accumulation_dtype(one.device)) for one in (mean, deviation))
    count = torch.full_like(mean, chosen.numel() / chosen.shape[1])
    return torch.stack([count, count * mean, deviation.square() + count * mean.square()])
