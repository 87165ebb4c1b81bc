"""Snapshots to trackio."""

from typing import Any

from salreg.callbacks.painter import Painted
from salreg.callbacks.trackio_logger import TrackioLogger


class TrackioRuns:
    """Sends snapshots to the run of a ``TrackioLogger``, with one call per snapshot."""

    def __init__(self, logger: TrackioLogger) -> None:
        self._logger = logger

    def write(self, painted: Painted) -> None:
        """Send pictures, numbers and alerts."""
        self._logger.log_metrics({**painted.snapshot.numbers, **_images(painted)}, painted.snapshot.step)
        for alert in painted.snapshot.alerts:
            self._logger.alert(alert)


def _images(painted: Painted) -> dict[str, Any]:
    import trackio

    images: dict[str, Any] = {}
    for name, frame in painted.snapshot.frames.items():
        images[f"salreg/{name}/film_strip"] = trackio.Image(painted.film_strips[name])
        for index, picture in enumerate(painted.overlays[name]):
            images[f"salreg/{name}/sample_{index:02d}"] = trackio.Image(picture, caption=frame.caption(index))
    return images
