"""What a model does with the panel: its maps and predictions, its reliance on the marks, and whether the maps hold."""

from collections.abc import Iterator

import pytorch_lightning as pl
import torch
from torch import Tensor

from salreg import annotations, sanity
from salreg.attributions import Attribution
from salreg.callbacks.forward_call import ForwardCall
from salreg.callbacks.monitoring import Chunk, explain
from salreg.metrics.functional.predictions import predicted_classes
from salreg.metrics.functional.reliance import REPLACED_BY, reliance_counts, reliance_name, replace_spurious
from salreg.sanity import SanityCheck

_CHUNK = 16
_ROUNDS = {"swap": 4, "mean": 1, "noise": 4}  # how often what is random is drawn


def panel_maps(
    module: pl.LightningModule, call: ForwardCall, attribution: Attribution, panel: Chunk
) -> tuple[Tensor, list[int]]:
    """Maps of the panel on the annotations' grid ``(B, ...)``, on the CPU, and the predicted classes."""
    maps: list[Tensor] = []
    predictions: list[int] = []
    for piece in _pieces(panel, module.device):
        saliency, recording = explain(module, call, attribution, piece)
        maps.append(saliency.cpu())
        predictions += predicted_classes(recording.require_logits().detach()).tolist()
    return torch.cat(maps), predictions


def panel_reliance(module: pl.LightningModule, call: ForwardCall, panel: Chunk) -> dict[str, float]:
    """The share of the panel's predictions that change with the spurious region: ``reliance`` when it is another sample's,
    ``reliance_mean`` and ``reliance_noise`` when it is filled. Empty where no region lies on the input."""
    changed, counted = dict.fromkeys(REPLACED_BY, 0.0), dict.fromkeys(REPLACED_BY, 0.0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for piece in _pieces(panel, module.device):
            recording = call.run(module, piece.tensors)
            inputs, before = recording.floating_input(), recording.require_logits()
            if len(inputs) < 2 or not annotations.fits(piece.annotation, inputs):
                continue
            for by in REPLACED_BY:
                for _ in range(_ROUNDS[by]):
                    replaced = replace_spurious(inputs, piece.annotation, generator, by)
                    after = call.run(module, piece.tensors, replaced=replaced).require_logits()
                    here, among = reliance_counts(before, after, piece.annotation)
                    changed[by] += float(here)
                    counted[by] += float(among)
    return {reliance_name(by): changed[by] / counted[by] for by in REPLACED_BY if counted[by]}


def panel_sanity(module: pl.LightningModule, call: ForwardCall, attribution: Attribution, panel: Chunk) -> SanityCheck:
    """Whether an attribution's maps of the panel depend on the model, and the model on what they show."""
    piece = next(_pieces(panel, module.device))

    def predict(inputs: Tensor) -> Tensor:
        return call.run(module, piece.tensors, replaced=inputs).require_logits()

    def maps() -> Tensor:
        return explain(module, call, attribution, piece)[0]

    with torch.no_grad():
        inputs = call.run(module, piece.tensors).floating_input()
    return sanity.check(module, maps, predict, inputs)


def _pieces(panel: Chunk, device: torch.device) -> Iterator[Chunk]:
    for start in range(0, len(panel.annotation), _CHUNK):
        piece = panel[start : start + _CHUNK]
        target = None if piece.target is None else piece.target.to(device)
        yield Chunk([tensor.to(device) for tensor in piece.tensors], piece.annotation.to(device), target, panel.input_index)
