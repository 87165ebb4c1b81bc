"""Sends snapshots to W&B in its own formats: images with marks to toggle, a sortable table, histograms, and fitting axes."""

import math
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from salreg.callbacks.painter import Painted
from salreg.history import Frame, History
from salreg.plotting.cell import draw_cell, kind_of
from salreg.plotting.overlay import heated, picture, to_bytes
from salreg.plotting.tokens import tokens_html

_COLUMNS: list[str | int] = ["epoch", "sample", "label", "prediction", "spurious saliency", "image", "map"]
_KINDS = {1: "spurious", 2: "relevant"}
_STRIP, _SAMPLE, _CELL = 480, 96, 32  # longest sides in pixels: 100 snapshots of 16 samples take less than 30 MB
_WORDS = 160  # half the width of a text or table


class WandbRuns:
    """Sends snapshots to the run of a ``WandbLogger``, one call per snapshot because every call advances W&B's own step.

    Under ``salreg/<attribution>/``: ``sample_00``, ``sample_01``, ... with the marks as a mask, so that W&B's slider walks
    through the epochs (texts also as HTML, ``sample_00_words``); ``film_strip``; ``panel``, a table that grows by a row per
    sample; ``spurious_saliency``, a histogram over the panel. The same call sends the numbers, with ``epoch`` as their axis.

    Args:
        logger: The ``WandbLogger``.
    """

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._run_id: Any = None
        self._tables: dict[str, Any] = {}

    def write(self, painted: Painted) -> None:
        """Send pictures, numbers and alerts."""
        run = self._logger.experiment
        if run.id != self._run_id:
            self._begin(run)
        self._logger.log_metrics(self.payload(painted), painted.snapshot.step)
        for alert in painted.snapshot.alerts:
            run.alert("salreg", alert)

    def _begin(self, run: Any) -> None:
        self._run_id, self._tables = run.id, {}
        run.define_metric("epoch")
        run.define_metric("panel/*", step_metric="epoch")
        run.define_metric("salreg/*", step_metric="trainer/global_step")

    def payload(self, painted: Painted) -> dict[str, Any]:
        """Everything by key."""
        import wandb

        snapshot, history = painted.snapshot, painted.history
        payload: dict[str, Any] = {**snapshot.numbers, "epoch": snapshot.epoch}
        for name, frame in snapshot.frames.items():
            table = self._tables.setdefault(name, wandb.Table(columns=_COLUMNS, log_mode="INCREMENTAL"))
            for index, image in enumerate(history.images):
                share = frame.shares[index]
                key = f"salreg/{name}/sample_{index:02d}"
                limit = painted.limit(name, index)
                payload[key], alone, heat = _pictures(history, frame, index, limit)
                if kind_of(image) == "text":
                    payload[f"{key}_words"] = wandb.Html(_html(history, frame, index, limit), inject=False)
                table.add_data(
                    snapshot.epoch, index, history.labels[index], frame.predictions[index],
                    None if math.isnan(share) else share, alone, heat,
                )  # fmt: skip
            payload[f"salreg/{name}/panel"] = table
            payload[f"salreg/{name}/film_strip"] = _image(painted.film_strips[name], _STRIP)
            shares = [share for share in frame.shares if not math.isnan(share)]
            if shares:
                payload[f"salreg/{name}/spurious_saliency"] = wandb.Histogram(np_histogram=np.histogram(shares, 20, (0, 1)))
        return payload


def _pictures(history: History, frame: Frame, index: int, limit: float) -> tuple[Any, Any, Any]:
    """The pictures of one sample: its map with a caption and, for the table, the sample alone and its map."""
    image, saliency, mark = history.images[index], frame.saliency[index], history.annotations[index]
    caption = f"{history.labels[index]} {frame.caption(index)}"
    if kind_of(image) == "image":
        heat = to_bytes(heated(image, saliency, limit, _SAMPLE))
        return _image(heat, _SAMPLE, caption, mark), _image(to_bytes(picture(image)), _CELL), _image(heat, _CELL)
    drawn, alone = (draw_cell(image, one, mark, limit, _WORDS, history.names[index]) for one in (saliency, None))
    return _image(drawn, _STRIP, caption), _image(alone, _STRIP), _image(drawn, _STRIP)


def _html(history: History, frame: Frame, index: int, limit: float) -> str:
    saliency = frame.saliency[index]
    return tokens_html(history.names[index], saliency, history.annotations[index], limit)


def _image(pixels: Any, largest: int, caption: str | None = None, mark: Tensor | None = None) -> Any:
    import wandb

    picture = Image.fromarray(pixels)
    picture.thumbnail((largest, largest))
    masks = (
        mark if mark is None else {"marked": {"mask_data": _mask(mark, picture.height, picture.width), "class_labels": _KINDS}}
    )
    return wandb.Image(picture, caption=caption, masks=masks, file_type="jpg")


def _mask(annotation: Tensor, height: int, width: int) -> Any:
    """The marks at the size of the picture: 0 unknown, 1 spurious, 2 relevant."""
    signs = annotation.detach().float().cpu().reshape(1, 1, -1, annotation.shape[-1])
    signs = torch.nn.functional.interpolate(signs, size=(height, width), mode="nearest")[0, 0]
    return ((signs < 0) * 1 + (signs > 0) * 2).to(torch.uint8).numpy()
