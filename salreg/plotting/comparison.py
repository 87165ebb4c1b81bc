"""Draws several trainings side by side in one picture."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from salreg.history import Frame, History
from salreg.plotting.film_strip import film_strip
from salreg.plotting.fonts import font
from salreg.plotting.scale import Scale

_EPOCHS = 3  # of each run
_SAMPLES = 8
_HEADING, _BETWEEN = 34, 24  # pixels


def comparison(runs: Mapping[str, History], attribution: str) -> Any:
    """Draw the first trained epoch, a middle one and the last of each run, on one colour scale if the samples are the same.

    Args:
        runs: The histories by name; each needs frames of the attribution.
        attribution: The attribution to show.

    Returns:
        ``uint8`` array ``(height, width, 3)``; if there are more than 8 samples, the first 8 are drawn.
    """
    first = next(iter(runs.values()))
    frames = {name: _trained(run.frames[attribution]) for name, run in runs.items()}
    scales = {}
    for name, run in runs.items():
        beside = [frame for other, some in frames.items() if runs[other].labels == run.labels for frame in some]
        scales[name] = [Scale.of(beside, sample) for sample in range(len(run.images))]
    shown = slice(min(_SAMPLES, len(first.images)))
    strips = {
        name: film_strip(
            run.images[shown], run.annotations[shown], run.labels[shown], frames[name],
            names=run.names[shown], columns=_EPOCHS, scales=scales[name][shown],
        )
        for name, run in runs.items()
    }  # fmt: skip
    return _beside(strips)


def _trained(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame.epoch > 0] or frames


def _beside(pictures: Mapping[str, Any]) -> Any:
    """Put pictures side by side under their headings; shorter ones are padded with white."""
    height = max(len(picture) for picture in pictures.values())
    parts: list[Any] = []
    for heading, picture in pictures.items():
        padded = np.pad(picture, ((0, height - len(picture)), (0, _BETWEEN), (0, 0)), constant_values=255)
        parts.append(np.concatenate([_heading(heading, padded.shape[1]), padded]))
    return np.concatenate(parts, axis=1)


def _heading(text: str, width: int) -> Any:
    heading = Image.new("RGB", (width, _HEADING), "white")
    ImageDraw.Draw(heading).text((4, _HEADING - 7), text, "black", font(18, bold=True), anchor="ls")
    return np.asarray(heading)
