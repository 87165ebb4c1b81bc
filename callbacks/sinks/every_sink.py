"""Sends a run's snapshots to all places."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger

from salreg.callbacks.painter import Painted
from salreg.callbacks.sinks.files import Files
from salreg.callbacks.sinks.loggers import Loggers
from salreg.callbacks.sinks.page import Page
from salreg.callbacks.sinks.run_folder import RunFolder
from salreg.callbacks.sinks.sink import Sink


class EverySink:
    """Sends snapshots to the loggers and, from the first snapshot on, to the files and the page of a run folder.

    Attributes:
        root: The run folder to write to.
        folder: The names that this run took in it; None until the first snapshot.
    """

    def __init__(self) -> None:
        self.root = Path()
        self.folder: RunFolder | None = None
        self._loggers = Loggers()
        self._on_disk: list[Sink] = []

    def start(self, root: Path, loggers: Sequence[Logger]) -> None:
        """Tell the sink where snapshots go."""
        self.root, self._loggers.loggers = root, list(loggers)

    def open(self) -> None:
        """Take names in the run folder, unless this run already has some."""
        if not self._on_disk:
            self.folder = self.folder or RunFolder.unused(self.root)
            self._on_disk = [Files(self.folder), Page(self.folder)]

    def write(self, painted: Painted) -> None:
        """Send a snapshot to all places."""
        self._loggers.write(painted)
        self.write_to_disk(painted)

    def write_to_disk(self, painted: Painted) -> None:
        """Update the files and the page."""
        for sink in self._on_disk:
            sink.write(painted)

    def state_dict(self) -> dict[str, Any] | None:
        return None if self.folder is None else self.folder.state_dict()

    def load_state_dict(self, state: dict[str, Any] | None, wanted: Path | None) -> None:
        """Continue in the checkpoint's folder, if it exists and no other folder was chosen."""
        folder = state and RunFolder.from_state_dict(state)
        if folder and wanted in (None, folder.root) and folder.root.is_dir():
            self.folder = folder
