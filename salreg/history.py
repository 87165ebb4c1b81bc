"""What the snapshots of a training recorded; film strips and reports are drawn from it."""

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from salreg.sanity import SanityCheck
from salreg.verdict import Verdict

MAX_FRAMES = 100


@dataclass
class Frame:
    """One snapshot of one attribution.

    Attributes:
        epoch: The number of epochs trained; 0 is before training.
        saliency: One non-negative map ``(h, w)``, ``(T,)`` or ``(F,)`` per sample.
        predictions: The model's prediction for each sample, in words.
        shares: The share of each map that lies on spurious marks, in [0, 1]; NaN if nothing is marked.
    """

    epoch: int
    saliency: list[Tensor]
    predictions: list[str]
    shares: list[float]

    def caption(self, sample: int) -> str:
        """The caption below a map: the prediction, and the share on the marks.

        Example:
            >>> Frame(1, [torch.ones(2, 2)], ["cat"], [0.25]).caption(0)
            '→ cat   25%'
        """
        share = self.shares[sample]
        return f"→ {self.predictions[sample]}" + (f"   {share:.0%}" if share == share else "")


@dataclass
class History:
    """A panel, its maps and numbers over the epochs.

    Attributes:
        images: The panel's inputs ``(C, H, W)``; or token numbers ``(T,)``, or rows of a table ``(F,)``.
        annotations: ``(1, H, W)``, ``(T,)`` or ``(F,)`` each.
        names: The names of each sample's tokens or columns; empty for images.
        labels: The true label of each sample, in words.
        frames: The snapshots of each drawn attribution, in order. If there are more than 100, every other one is dropped.
        panel: One row per snapshot and attribution: ``epoch``, ``attribution``, ``probe`` (whether it is only measured), and
            numbers.
        curves: The numbers that the training logged, by epoch and name.
        sanity: The results of the final checks for each attribution.
        verdict: What happened, and what to do next, in words; empty before the end.
        config: The run's configuration as text.
    """

    images: list[Tensor] = field(default_factory=list)
    annotations: list[Tensor] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    names: list[list[str]] = field(default_factory=list)
    frames: dict[str, list[Frame]] = field(default_factory=dict)
    panel: list[dict[str, Any]] = field(default_factory=list)
    curves: dict[int, dict[str, float]] = field(default_factory=dict)
    sanity: dict[str, SanityCheck] = field(default_factory=dict)
    verdict: Verdict = field(default_factory=Verdict)
    config: str = ""

    def __post_init__(self) -> None:
        self.names = self.names or [[] for _ in self.images]

    def add(self, attribution: str, frame: Frame) -> None:
        """Add a snapshot."""
        frames = self.frames.setdefault(attribution, [])
        frames.append(frame)
        if len(frames) > MAX_FRAMES:
            del frames[1:-1:2]

    def series(self, attribution: str, number: str) -> dict[int, float]:
        """One of the panel's numbers, by epoch."""
        return {row["epoch"]: row[number] for row in self.panel if row["attribution"] == attribution and number in row}

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and words only, as ``torch.load`` reads them safely."""
        return asdict(self)

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> "History":
        """Restore a history from ``state_dict``.

        Raises:
            ValueError: It is incomplete, or another version of salreg wrote it.
        """
        known = {one.name for one in fields(cls)}
        if not isinstance(state, dict) or set(state) != known:
            given = set(state) if isinstance(state, dict) else set()
            lacks, beyond = sorted(known - given), sorted(map(str, given - known))
            found = [f"{word} {', '.join(names)}" for word, names in (("lacks", lacks), ("also has", beyond)) if names]
            raise ValueError(f"This is not a history of this version of salreg: it {' and '.join(found)}.")
        try:
            frames = {name: [Frame(**frame) for frame in frames] for name, frames in state["frames"].items()}
            sanity = {name: SanityCheck(**check) for name, check in state["sanity"].items()}
            verdict = Verdict(**state["verdict"])
        except (AttributeError, TypeError) as error:
            raise ValueError(f"This is not a history of this version of salreg: {error}.") from error
        return cls(**{**state, "frames": frames, "sanity": sanity, "verdict": verdict})

    @classmethod
    def load(cls, path: Path) -> "History":
        """Read what ``torch.save(history.state_dict(), path)`` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is incomplete, is not a history, or was written by another version.
        """
        try:
            return cls.from_state_dict(torch.load(path, weights_only=True))
        except FileNotFoundError:
            raise FileNotFoundError(f"There is no history {path}.") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error} Train again, or read it with the version of salreg that wrote it.") from error
        except (RuntimeError, EOFError, UnpicklingError, OSError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"{path} is not a complete history as written by snapshots ({reason}): train again.") from error
