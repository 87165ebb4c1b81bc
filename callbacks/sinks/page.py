"""Writes the report for a browser."""

from salreg.callbacks.atomic_write import atomic_write
from salreg.callbacks.painter import Painted
from salreg.callbacks.sinks.run_folder import RunFolder
from salreg.plotting import report


class Page:
    """A run folder's ``report.html``, rewritten at each snapshot."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def write(self, painted: Painted) -> None:
        """Update the page."""
        if self.folder.closed:
            return
        with atomic_write(self.folder.report) as path:
            path.write_bytes(report({"": painted.history}, self.folder.root.resolve().name).encode())
