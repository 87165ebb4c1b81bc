"""From a snapshot to its pictures."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from salreg.callbacks.snapshot import Snapshot
from salreg.history import History
from salreg.plotting import film_strip, overlay
from salreg.plotting.scale import Scale


@dataclass(frozen=True)
class Painted:
    """A snapshot with its pictures, as sinks take it.

    Attributes:
        snapshot: What was seen.
        history: All that was seen so far, this snapshot included.
        film_strips: By attribution, a picture ``(height, width, 3)``, uint8, of all epochs so far.
        overlays: By attribution, a picture for each sample, with its input, map and marks.
        scales: By attribution, the colour scale of each sample.
    """

    snapshot: Snapshot
    history: History
    film_strips: dict[str, Any]
    overlays: dict[str, list[Any]]
    scales: dict[str, list[Scale]]

    def limit(self, attribution: str, sample: int) -> float:
        """The saliency that the strongest colour stands for in a sample's map, as in film strips and on the page."""
        return self.scales[attribution][sample].limit(self.snapshot.frames[attribution].saliency[sample])


def paint(snapshot: Snapshot, history: History) -> Painted:
    """Draw a snapshot.

    Args:
        snapshot: What was seen.
        history: Holds this snapshot already.

    Raises:
        RuntimeError: A sample cannot be drawn; it says which.
    """
    painted = Painted(snapshot, history, {}, {}, {})
    for name, frame in snapshot.frames.items():
        title = f"Saliency ({name}) over the training"
        samples = (history.images, history.annotations, history.labels)
        drawn = zip(history.images, frame.saliency, history.annotations, history.names, strict=True)
        painted.scales[name] = [Scale.of(history.frames[name], sample) for sample in range(len(history.images))]
        painted.overlays[name] = [_drawn(number, *one, painted.limit(name, number)) for number, one in enumerate(drawn)]
        painted.film_strips[name] = film_strip(
            *samples, history.frames[name], title, history.names, scales=painted.scales[name]
        )
    return painted


def _drawn(number: int, image: Tensor, saliency: Tensor, annotation: Tensor, names: list[str], limit: float) -> Any:
    try:
        return overlay(image, saliency, annotation, limit=limit, names=names)
    except Exception as error:
        raise RuntimeError(f"sample {number} of the panel cannot be drawn: {error}") from error
