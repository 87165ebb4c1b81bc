"""What takes snapshots."""

from typing import Protocol

from salreg.callbacks.painter import Painted


class Sink(Protocol):
    """A place that snapshots go to: the disk, a page, a logger."""

    def write(self, painted: Painted) -> None:
        """Take a snapshot with its pictures."""
