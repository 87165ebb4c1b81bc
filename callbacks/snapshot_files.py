"""What snapshots leave on the disk: pictures, numbers, and the report that a browser shows."""

import csv
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from matplotlib.image import imsave
from pytorch_lightning.utilities.rank_zero import rank_zero_warn
from torch import Tensor

from salreg.callbacks.atomic_write import atomic_write, remove_unfinished
from salreg.callbacks.masked import masked
from salreg.plotting import Frame, History, film_strip, overlay, report

HISTORY = "history.pt"


@dataclass
class Snapshot:
    """The panel at one epoch.

    Attributes:
        epoch: How many epochs were trained.
        frames: The drawn attributions' maps.
        film_strips: A picture ``(height, width, 3)``, uint8, of all epochs so far for each.
        overlays: A picture for each sample, with its input, map and marks.
        numbers: By the name they are logged under.
    """

    epoch: int
    frames: dict[str, Frame] = field(default_factory=dict)
    film_strips: dict[str, Any] = field(default_factory=dict)
    overlays: dict[str, list[Any]] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)

    def draw(self, history: History) -> None:
        """Make the pictures, from a history that holds this snapshot already."""
        for name, frame in self.frames.items():
            title = f"Saliency ({name}) over the training"
            samples = (history.images, history.annotations, history.labels)
            drawn = zip(history.images, frame.saliency, history.annotations, history.names, strict=True)
            self.overlays[name] = [_drawn(number, *one) for number, one in enumerate(drawn)]
            self.film_strips[name] = film_strip(*samples, history.frames[name], title, history.names)


class SnapshotFiles:
    """A run folder's ``snapshots/`` and ``report.html``; with a number behind the names where these are taken.

    Args:
        root: The run folder.
        number: Behind the names; 0 is none.
    """

    def __init__(self, root: Path, number: int = 0) -> None:
        suffix = f"-{number}" if number else ""
        self.root, self.number = root, number
        self.snapshots, self.report = root / f"snapshots{suffix}", root / f"report{suffix}.html"
        self._begun = self._closed = False

    @classmethod
    def unused(cls, root: Path) -> "SnapshotFiles":
        """The first number whose names are free, which then are no more. A folder that cannot be written to is a warning."""
        files = cls(root)
        try:
            root.mkdir(parents=True, exist_ok=True)
            while not files._take():
                files = cls(root, files.number + 1)
        except OSError as error:
            files._closed = True
            rank_zero_warn(
                f"The run folder {root} cannot be written to ({error.strerror or error}), so the training goes on without "
                "snapshots on the disk. Free space, allow writing, or choose another folder: SaliencySnapshots(dir=...)."
            )
        return files

    def _take(self) -> bool:
        """Whether the names were free: nothing stands there, not even a link, and no run took them at the same time."""
        if os.path.lexists(self.report):
            return False
        try:
            self.snapshots.mkdir()
        except FileExistsError:
            return False
        return True

    def write(self, history: History, snapshot: Snapshot) -> None:
        """Add a snapshot's pictures, and bring everything else up to date."""
        if self._closed:
            return
        for name in snapshot.frames:
            save_png(self.snapshots / name / "film_strip.png", snapshot.film_strips[name])
            for index, picture in enumerate(snapshot.overlays[name]):
                save_png(self.snapshots / name / f"epoch_{snapshot.epoch:04d}" / f"sample_{index:02d}.png", picture)
        self.write_history(history)

    def write_history(self, history: History) -> None:
        """``panel.csv``, ``history.pt`` and the report."""
        if self._closed:
            return
        if not self._begun:
            self._begun = True
            remove_unfinished(self.root)
        history.config = next((masked(path.read_text("utf-8")) for path in self._configurations() if path.is_file()), "")
        with atomic_write(self.snapshots / "panel.csv") as path, path.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(dict.fromkeys(key for row in history.panel for key in row)))
            table.writeheader()
            table.writerows(history.panel)
        with atomic_write(self.snapshots / HISTORY) as path:
            torch.save(history.state_dict(), path)
        with atomic_write(self.report) as path:
            path.write_text(report({"": history}, self.root.resolve().name), "utf-8")

    def _configurations(self) -> list[Path]:
        """Recipes and LightningCLI write the one, Lightning's loggers the other."""
        return [self.root / "config.yaml", self.root / "hparams.yaml"]


def _drawn(number: int, image: Tensor, saliency: Tensor, annotation: Tensor, names: list[str]) -> Any:
    try:
        return overlay(image, saliency, annotation, limit=float(saliency.max()), names=names)
    except Exception as error:
        raise RuntimeError(f"sample {number} of the panel cannot be drawn: {error}") from error


def save_png(path: Path, pixels: Any) -> None:
    """Write a picture ``(height, width, 3)``, uint8."""
    with atomic_write(path) as unfinished:
        imsave(unfinished, pixels, format="png")
