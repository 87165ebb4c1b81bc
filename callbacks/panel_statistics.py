"""Numbers about a panel's maps at every snapshot: where they lie, and how they drift."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from salreg.annotations import is_annotated, marks
from salreg.metrics.functional import (
    map_cosine,
    map_entropy,
    map_gini,
    map_rank_correlation,
    map_shift,
    map_ssim,
    spurious_saliency,
)

_SMALLEST_SSIM_SIDE = 11  # of the window
_SIMILARITIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cosine": map_cosine,
    "rank_correlation": map_rank_correlation,
    "ssim": map_ssim,
    "center_shift": map_shift,
}


class PanelStatistics:
    """Remembers each attribution's first and last maps of the panel."""

    def __init__(self) -> None:
        self._first: dict[str, Tensor] = {}
        self._previous: dict[str, Tensor] = {}

    def measure(self, name: str, saliency: Tensor, annotation: Tensor) -> dict[str, float]:
        """Means over the panel, without samples for which a number is undefined.

        Args:
            name: Of the attribution.
            saliency: ``(B, ...)`` on the annotations' grid.
            annotation: ``(B, ...)``.

        Returns:
            ``spurious_saliency`` (where samples carry spurious marks), ``gini`` and ``entropy``; from the second snapshot on
            the ``cosine``, ``rank_correlation``, ``ssim`` (images of at least 11 pixels a side) and ``center_shift`` to the
            ``previous`` and the ``first`` one.
        """
        saliency, annotation = saliency.float().cpu(), annotation.float().cpu()
        marked = is_annotated(marks(annotation).spurious)
        places = saliency.sum(1, keepdim=True) if saliency.ndim > 2 else saliency
        values = {
            "spurious_saliency": _mean(spurious_saliency(saliency, annotation)[marked]),
            "gini": _mean(map_gini(saliency)),
            "entropy": _mean(map_entropy(saliency)),
        }
        for since, earlier in (("previous", self._previous.get(name)), ("first", self._first.get(name))):
            if earlier is not None:
                values |= {f"{kind}_to_{since}": _mean(f(places, earlier)) for kind, f in _similarities(places).items()}
        self._first.setdefault(name, places)
        self._previous[name] = places
        return {key: value for key, value in values.items() if not math.isnan(value)}

    def state_dict(self) -> dict[str, Any]:
        return {"first": dict(self._first), "previous": dict(self._previous)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._first, self._previous = state["first"], state["previous"]


def _similarities(saliency: Tensor) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    images = saliency.ndim == 4 and min(saliency.shape[2:]) >= _SMALLEST_SSIM_SIDE
    return {kind: function for kind, function in _SIMILARITIES.items() if images or kind != "ssim"}


def _mean(values: Tensor) -> float:
    defined = values[torch.isfinite(values)]
    return float(defined.mean()) if len(defined) else math.nan
