"""Chooses where a run saves its snapshots on the disk."""

import os
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities.rank_zero import rank_zero_warn


class RunFolder:
    """A run folder's ``snapshots/`` and ``report.html``, with a number appended if these names are taken.

    Args:
        root: The run folder.
        number: The number appended to the names; 0 appends none.

    Attributes:
        snapshots: The folder of pictures and numbers.
        report: The page.
        closed: Whether the run folder cannot be written to.
    """

    def __init__(self, root: Path, number: int = 0) -> None:
        suffix = f"-{number}" if number else ""
        self.root, self.number = root, number
        self.snapshots, self.report = root / f"snapshots{suffix}", root / f"report{suffix}.html"
        self.closed = False

    @classmethod
    def unused(cls, root: Path) -> "RunFolder":
        """Take the names with the first free number. A folder that cannot be written to causes a warning."""
        folder = cls(root)
        try:
            root.mkdir(parents=True, exist_ok=True)
            while not folder._take():
                folder = cls(root, folder.number + 1)
        except OSError as error:
            folder.closed = True
            rank_zero_warn(
                f"The run folder {root} cannot be written to ({error.strerror or error}), so training continues without "
                "snapshots on disk. Free some space, make it writable, or choose another folder: SaliencySnapshots(dir=...)."
            )
        return folder

    def state_dict(self) -> dict[str, Any]:
        return {"root": str(self.root), "number": self.number}

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> "RunFolder":
        """The same folder and names as in a checkpoint, which are taken already."""
        return cls(Path(state["root"]), state["number"])

    def _take(self) -> bool:
        """Whether the names were free: nothing has them, not even a link, and no other run took them at the same time."""
        if os.path.lexists(self.report):
            return False
        try:
            self.snapshots.mkdir()
        except FileExistsError:
            return False
        return True
