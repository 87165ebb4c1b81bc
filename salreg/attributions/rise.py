"""RISE: the mean of random masks, weighted by the scores of what they leave."""

import math
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from salreg import checks
from salreg.attributions.base import Attribution
from salreg.attributions.passes import scores_at
from salreg.attributions.perturbation import split
from salreg.rng import Rng
from salreg.scores import Score
from salreg.taps import Recording


class RISE(Attribution):
    r"""Randomised input sampling (Petsiuk et al. 2018, eq. 6): the mean of random masks, weighted by the scores of the masked
    inputs.

    .. math:: M = \frac{1}{n \, p} \sum_k s(x \odot m_k) \, m_k

    The masks are coarse random grids, enlarged bilinearly and shifted at random. The map is divided by the mean of the drawn
    masks rather than by its expectation p, so that a small number of masks leaves no pattern.

    Args:
        masks: The number of masks; each costs one forward pass, with several at a time.
        cells: The number of cells of the coarse grid along each side.
        keep: Probability p that a cell stays visible.
        score: The score to explain.
        seed: The seed of the masks; every call uses the same ones.

    Returns when called:
        ``(B, 1, H, W)``, in score units.

    Raises:
        ValueError: The inputs are not images.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
        >>> RISE(masks=8, cells=2)(model, torch.rand(3, 1, 8, 8), torch.zeros(3)).shape
        torch.Size([3, 1, 8, 8])
    """

    family = "perturbation"
    uses_gradients = False

    def __init__(
        self, masks: int = 500, cells: int = 7, keep: float = 0.5, score: str | Score = "target_logit", *, seed: int = 0
    ) -> None:
        checks.whole(1, masks=masks, cells=cells)
        checks.number("(0, 1)", keep=keep)
        checks.whole(-math.inf, seed=seed)
        super().__init__(score)
        self.masks, self.cells, self.keep, self.seed = masks, cells, keep, seed

    def explain(
        self, recording: Recording, target: Tensor | None = None, *, create_graph: bool = False, scale: Any = None
    ) -> Tensor:
        inputs = recording.floating_input()
        if inputs.ndim != 4:
            raise ValueError(f"RISE needs images (B, C, H, W), not {tuple(inputs.shape)}.")
        masks = random_masks(self.masks, self.cells, self.keep, (inputs.shape[2], inputs.shape[3]), Rng(self.seed)).to(inputs)
        total = inputs.new_zeros(len(inputs), 1, *inputs.shape[2:])
        with nullcontext() if create_graph else torch.no_grad():
            for some in split(masks.unsqueeze(1), inputs):
                values = scores_at(recording, inputs * some, self.score, target)
                total = total + torch.einsum("kb,kchw->bchw", values, some.squeeze(1))
        return total / masks.sum(0).clamp(min=1e-6)


def random_masks(count: int, cells: int, keep: float, size: tuple[int, int], rng: Rng) -> Tensor:
    """RISE's masks ``(count, 1, H, W)`` in [0, 1]."""
    cell = [-(-side // cells) for side in size]
    coarse = (rng.uniform((count, 1, cells + 1, cells + 1), like=torch.zeros(())) < keep).float()
    fine = interpolate(coarse, size=[(cells + 1) * side for side in cell], mode="bilinear", align_corners=False)
    tops, lefts = (rng.integers(side, (count,), torch.device("cpu")).tolist() for side in cell)
    cut = [mask[:, y : y + size[0], x : x + size[1]] for mask, y, x in zip(fine, tops, lefts, strict=True)]
    return torch.stack(cut)
