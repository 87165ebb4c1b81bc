"""Writes pictures and numbers to the disk."""

import csv
from pathlib import Path
from typing import Any

import torch
from matplotlib.image import imsave

from salreg.callbacks.atomic_write import atomic_write, remove_unfinished
from salreg.callbacks.masked import masked
from salreg.callbacks.painter import Painted
from salreg.callbacks.sinks.run_folder import RunFolder
from salreg.history import History

HISTORY = "history.pt"


class Files:
    """A run folder's ``snapshots/``: pictures, ``panel.csv``, and the history, from which everything can be drawn again."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._begun = False

    def write(self, painted: Painted) -> None:
        """Write a snapshot's pictures, and update the numbers and the history."""
        if self.folder.closed:
            return
        snapshots, history = self.folder.snapshots, painted.history
        for name, strip in painted.film_strips.items():
            save_png(snapshots / name / "film_strip.png", strip)
            for index, picture in enumerate(painted.overlays[name]):
                save_png(snapshots / name / f"epoch_{painted.snapshot.epoch:04d}" / f"sample_{index:02d}.png", picture)
        if not self._begun:
            self._begun = True
            remove_unfinished(self.folder.root)
        history.config = next((masked(path.read_text("utf-8")) for path in self._configurations() if path.is_file()), "")
        _write_numbers(snapshots / "panel.csv", history)
        with atomic_write(snapshots / HISTORY) as path:
            torch.save(history.state_dict(), path)

    def _configurations(self) -> list[Path]:
        """The run's configuration files: recipes and LightningCLI write one, Lightning's loggers the other."""
        return [self.folder.root / "config.yaml", self.folder.root / "hparams.yaml"]


def _write_numbers(path: Path, history: History) -> None:
    with atomic_write(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(dict.fromkeys(key for row in history.panel for key in row)))
        table.writeheader()
        table.writerows(history.panel)


def save_png(path: Path, pixels: Any) -> None:
    """Write a picture ``(height, width, 3)``, uint8."""
    with atomic_write(path) as unfinished:
        imsave(unfinished, pixels, format="png")
