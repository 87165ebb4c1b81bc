"""What a model does with the panel: its maps and predictions, its reliance on the marks, and whether the maps hold."""

import torch
from torch import Tensor

from salreg import sanity
from salreg.attributions import Attribution
from salreg.callbacks.behaviour import Behaviour
from salreg.callbacks.monitoring import Chunk, explain, predicted, run
from salreg.callbacks.replay import Replay
from salreg.metrics.functional.predictions import predicted_classes
from salreg.sanity import SanityCheck

_CHUNK = 16
_ROUNDS = 4  # of donors: a panel is small


def panel_maps(replay: Replay, attribution: Attribution, panel: Chunk) -> tuple[Tensor, list[int]]:
    """Maps of the panel on the annotations' grid ``(B, ...)``, on the CPU, and the predicted classes."""
    maps: list[Tensor] = []
    predictions: list[int] = []
    for piece in panel.to(replay.module.device).pieces(_CHUNK):
        saliency, recording = explain(replay, attribution, piece)
        maps.append(saliency.cpu())
        predictions += predicted_classes(recording.require_logits().detach()).tolist()
    return torch.cat(maps), predictions


def panel_behaviour(replay: Replay, panel: Chunk) -> dict[str, float]:
    """The panel's ``reliance`` (worst of ``reliance_content``, ``reliance_removal``, ``reliance_insertion``) and
    ``constant_predictions``, as ``Behaviour`` measures them, by one process alone."""
    behaviour = Behaviour(across_ranks=False)
    behaviour.reset(replay.module.device)
    panel = panel.to(replay.module.device)
    with torch.no_grad():
        before = torch.cat([predicted(run(replay, piece)) for piece in panel.pieces(_CHUNK)])
    for seed in range(_ROUNDS):
        behaviour.draw(seed)
        behaviour.update(replay, panel, before, _CHUNK)
    values = behaviour.compute()
    values.pop("accuracy_under_intervention", None)  # an accuracy is of more samples than a panel has
    return {name: float(value) for name, value in values.items()}


def panel_sanity(replay: Replay, attribution: Attribution, panel: Chunk) -> SanityCheck:
    """Whether an attribution's maps of the panel depend on the model, and the model on what they show."""
    piece = next(panel.to(replay.module.device).pieces(_CHUNK))

    def predict(inputs: Tensor) -> Tensor:
        return run(replay, piece, replaced=inputs).require_logits()

    def maps() -> Tensor:
        return explain(replay, attribution, piece)[0]

    with torch.no_grad():
        inputs = run(replay, piece).floating_input()
    return sanity.check(replay.module, maps, predict, inputs)
