"""How a map is scaled to [0, 1] before it is compared with marks."""

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from salreg import checks

Normalization = Literal["max", "min_max", "sigmoid", "none"]
NORMALIZATIONS: tuple[str, ...] = get_args(Normalization)


class Normalized(NamedTuple):
    """Maps ``(B, P)``, and which of them ``(B,)`` have a scale to normalise by; maps without one are 0."""

    maps: Tensor
    defined: Tensor


def normalize(maps: Tensor, how: Normalization) -> Normalized:
    """Normalise maps ``(B, P)`` sample by sample.

    Args:
        maps: One number per place.
        how: ``max``: the positive part over the largest absolute value (Rao et al. 2023). ``min_max``: from the smallest value
            at 0 to the largest at 1 (HINT as in XIL). ``sigmoid``: keeps the scale (ER-Test). ``none``: unchanged.

    Raises:
        ValueError: ``how`` is unknown.

    Example:
        >>> import torch
        >>> normalize(torch.tensor([[-4.0, 2.0]]), "max").maps.tolist()
        [[0.0, 0.5]]
    """
    checks.choice(NORMALIZATIONS, normalize=how)
    if how in ("sigmoid", "none"):
        return Normalized(
            maps.sigmoid() if how == "sigmoid" else maps, torch.ones(len(maps), dtype=torch.bool, device=maps.device)
        )
    if how == "max":
        return _over(maps.clamp(min=0), maps.abs().amax(1))
    lowest = maps.amin(1, keepdim=True)
    return _over(maps - lowest, maps.amax(1) - lowest.squeeze(1))


def _over(maps: Tensor, scale: Tensor) -> Normalized:
    defined = scale > 0
    safe = scale.where(defined, scale.new_ones(())).unsqueeze(1)
    return Normalized((maps / safe).where(defined.unsqueeze(1), maps.new_zeros(())), defined)
