"""The data from which the browser draws a page's panel: the samples, and their maps in each run, as plain lists and text."""

import base64
import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import torch
from matplotlib.image import imsave
from torch import Tensor
from torch.nn.functional import adaptive_max_pool1d

from salreg.annotations import places
from salreg.history import Frame, History
from salreg.plotting.bars import shown_columns
from salreg.plotting.cell import kind_of
from salreg.plotting.overlay import picture
from salreg.plotting.scale import Scale
from salreg.plotting.sentences import foremost
from salreg.plotting.signal import draw_signal

_LONGEST_SIDE = 256  # pixels of an input image in the page
_MOST_TOKENS = 4000  # of a text in the page
_SIGNAL = (64, 256)  # height and width of a signal's curve


def panel_data(runs: Mapping[str, History], attribution: str) -> dict[str, Any]:
    """The panel of one attribution.

    Args:
        runs: The histories by name; their panels must hold the same samples.
        attribution: The attribution to show; each run needs frames of it.

    Returns:
        ``kind``; the ``arms``; the ``epochs``; the ``samples``, each with its label, marks and the data to draw; and the
        ``frames`` of each arm, whose maps are bytes in base64, one sample after another, 255 for the strongest colour.
    """
    first = next(iter(runs.values()))
    kind = kind_of(first.images[0])
    frames = {name: run.frames[attribution] for name, run in runs.items()}
    scales = [Scale.of((frame for some in frames.values() for frame in some), index) for index in range(len(first.images))]
    shown = [_shown(first, kind, index, frames) for index in range(len(first.images))]
    return {
        "kind": "image" if kind == "signal" else kind,  # a curve is a picture under heat that is constant from top to bottom
        "arms": list(runs),
        "epochs": sorted({frame.epoch for some in frames.values() for frame in some}),
        "samples": [
            {
                "label": first.labels[index],
                **_sample(first, kind, index, shown[index]),
                **_foremost(first, kind, index, frames),
                **_choosable(first, frames, index),
            }
            for index in range(len(first.images))
        ],
        "frames": {name: [_frame(frame, scales, shown) for frame in some] for name, some in frames.items()},
    }


def _shown(history: History, kind: str, sample: int, frames: Mapping[str, Sequence[Frame]]) -> Tensor | None:
    """The places of a text or a row that are drawn; None for an image, of which all are."""
    if kind == "text":
        return places(history.annotations[sample]).nonzero().flatten()[:_MOST_TOKENS]
    if kind == "table":
        last = torch.stack([one.float() for some in frames.values() for one in some[-1].saliency]).mean(0)
        return torch.tensor(shown_columns(last, history.annotations[0]))
    return None


def _sample(history: History, kind: str, sample: int, shown: Tensor | None) -> dict[str, Any]:
    """The data to draw a sample from."""
    annotation = history.annotations[sample].float()
    if kind == "signal":
        height, width = _SIGNAL
        relevant, spurious = (adaptive_max_pool1d(one.reshape(1, -1).clamp(min=0), width) for one in (annotation, -annotation))
        outlines = {
            name: _outline(one.expand(height, -1) > 0) for name, one in (("spurious", spurious), ("relevant", relevant))
        }
        curve = draw_signal(history.images[sample], None, annotation, 1.0, width, height)
        return {"input": _png(curve), "height": height, "width": width, **outlines}
    if shown is None:
        height, width = annotation.shape[-2:]
        marks = annotation.reshape(height, width)
        outlines = {"spurious": _outline(marks < 0), "relevant": _outline(marks > 0)}
        return {"input": _png(picture(history.images[sample])), "height": height, "width": width, **outlines}
    names = history.names[sample] or [str(number) for number in range(len(annotation))]
    said = {"names": [names[place] for place in shown.tolist()], "signs": annotation[shown].sign().int().tolist()}
    if kind == "table":
        said["values"] = [f"{value:.4g}" for value in history.images[sample][shown].tolist()]
    return said


def _foremost(history: History, kind: str, sample: int, frames: Mapping[str, Sequence[Frame]]) -> dict[str, Any]:
    """Whether each word of a long text is in a marked sentence or in one of the most salient."""
    if kind != "text":
        return {}
    there = places(history.annotations[sample]).nonzero().flatten()[:_MOST_TOKENS].tolist()
    names = history.names[sample] or [""] * len(history.annotations[sample])
    maps = [frame.saliency[sample] for some in frames.values() for frame in some]
    front = set(foremost(names, history.annotations[sample], maps))
    return {"front": [int(token in front) for token in there]} if len(front) < len(there) else {}


def _choosable(history: History, frames: Mapping[str, Sequence[Frame]], sample: int) -> dict[str, Any]:
    """The properties by which readers choose a sample: its class as predictions name it, if it is known; its spurious saliency
    at the end, and how far its map has moved since the first trained epoch, each the highest of all runs."""
    ends = [some[-1] for some in frames.values()]
    firsts = [next((frame for frame in some if frame.epoch > 0), some[-1]) for some in frames.values()]
    moved = [_moved(a.saliency[sample], b.saliency[sample]) for a, b in zip(firsts, ends, strict=True)]
    share = max((frame.shares[sample] for frame in ends if not math.isnan(frame.shares[sample])), default=None)
    label = history.labels[sample]
    truth = None if label == f"sample {sample}" else label.removeprefix("class ")
    return {"truth": truth, "spurious_saliency": share, "moved": max(moved)}


def _moved(before: Tensor, after: Tensor) -> float:
    """The share of a map that has moved to other places, in [0, 1]."""
    shares = [one.float().nan_to_num() for one in (before, after)]
    old, new = (one / one.sum().clamp(min=1e-30) for one in shares)
    return round(float((old - new).abs().sum()) / 2, 4)


def _frame(frame: Frame, scales: Sequence[Scale], shown: Sequence[Tensor | None]) -> dict[str, Any]:
    """One run at one epoch."""
    maps = [one.float().nan_to_num() for one in frame.saliency]
    drawn = [one if places is None else one[places][None] for one, places in zip(maps, shown, strict=True)]
    bytes_ = [
        (one / max(scale.limit(whole), 1e-30) * 255).clamp(0, 255).round().to(torch.uint8)
        for one, whole, scale in zip(drawn, maps, scales, strict=True)
    ]
    return {
        "epoch": frame.epoch,
        "maps": base64.b64encode(b"".join(one.contiguous().numpy().tobytes() for one in bytes_)).decode(),
        "shapes": [list(one.reshape(-1, one.shape[-1]).shape) for one in bytes_],
        "predictions": frame.predictions,
        "shares": [None if math.isnan(share) else round(share, 4) for share in frame.shares],
        "totals": [round(scale.share(whole), 4) for whole, scale in zip(maps, scales, strict=True)],
    }


def _png(pixels: Any) -> str:
    step = max(1, max(pixels.shape[:2]) // _LONGEST_SIDE)
    file = BytesIO()
    imsave(file, np.ascontiguousarray(pixels[::step, ::step]), format="png")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _outline(marked: Tensor) -> str:
    """The edges between marked and other places, as an SVG path whose unit is one place."""
    padded = torch.nn.functional.pad(marked.to(torch.int8), (1, 1, 1, 1))
    across = [f"M{column - 1} {row}h1" for row, column in (padded[1:] != padded[:-1]).nonzero().tolist()]
    down = [f"M{column} {row - 1}v1" for row, column in (padded[:, 1:] != padded[:, :-1]).nonzero().tolist()]
    return "".join(across + down)
