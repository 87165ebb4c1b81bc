"""Snapshots to TensorBoard."""

from typing import Any

from salreg.callbacks.painter import Painted


class TensorBoardEvents:
    """Sends snapshots to a ``TensorBoardLogger``."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def write(self, painted: Painted) -> None:
        """Send pictures and numbers."""
        step, writer = painted.snapshot.step, self._logger.experiment
        self._logger.log_metrics(painted.snapshot.numbers, step)
        for name, strip in painted.film_strips.items():
            writer.add_image(f"salreg/{name}/film_strip", strip, step, dataformats="HWC")
            for index, picture in enumerate(painted.overlays[name]):
                writer.add_image(f"salreg/{name}/panel/{index:02d}", picture, step, dataformats="HWC")
