"""Numbers about a panel's maps at every snapshot: where they lie, and how they drift."""

import csv
import math
import os
from collections.abc import Callable
from pathlib import Path
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
    """Remembers each attribution's first and last maps of the panel.

    Attributes:
        rows: One per snapshot and attribution, in order: epoch, attribution, and the numbers by name.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, float | str]] = []
        self._first: dict[str, Tensor] = {}
        self._previous: dict[str, Tensor] = {}

    def measure(self, epoch: int, name: str, saliency: Tensor, annotation: Tensor) -> dict[str, float]:
        """Means over the panel, without samples for which a number is undefined.

        Args:
            epoch: Of the snapshot.
            name: Of the attribution.
            saliency: ``(B, ...)`` on the annotations' grid.
            annotation: ``(B, ...)``.

        Returns:
            ``spurious_saliency`` (where samples carry spurious marks), ``gini`` and ``entropy``; from the second snapshot
            on the
            ``cosine``, ``rank_correlation``, ``ssim`` (images of at least 11 pixels a side) and ``center_shift`` to the
            ``previous``
            and the ``first`` one.
        """
        saliency, annotation = saliency.float().cpu(), annotation.float().cpu()
        marked = is_annotated(marks(annotation).spurious)
        values = {
            "spurious_saliency": _mean(spurious_saliency(saliency, annotation)[marked]),
            "gini": _mean(map_gini(saliency)),
            "entropy": _mean(map_entropy(saliency)),
        }
        for since, earlier in (("previous", self._previous.get(name)), ("first", self._first.get(name))):
            if earlier is not None:
                values |= {f"{kind}_to_{since}": _mean(f(saliency, earlier)) for kind, f in _similarities(saliency).items()}
        self._first.setdefault(name, saliency)
        self._previous[name] = saliency
        defined = {key: value for key, value in values.items() if not math.isnan(value)}
        self.rows.append({"epoch": epoch, "attribution": name, **defined})
        return defined

    def write(self, path: Path) -> None:
        """All rows as a CSV file; an earlier one stays whole until the new one is."""
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, columns)
            table.writeheader()
            table.writerows(self.rows)
        unfinished.replace(path)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": list(self.rows), "first": dict(self._first), "previous": dict(self._previous)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows, self._first, self._previous = state["rows"], state["first"], state["previous"]


def _similarities(saliency: Tensor) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    images = saliency.ndim == 4 and min(saliency.shape[2:]) >= _SMALLEST_SSIM_SIDE
    return {kind: function for kind, function in _SIMILARITIES.items() if images or kind != "ssim"}


def _mean(values: Tensor) -> float:
    defined = values[torch.isfinite(values)]
    return float(defined.mean()) if len(defined) else math.nan
