"""What a model does with the panel: its maps and predictions, its reliance on the marks, and whether the maps hold."""

from collections.abc import Callable

import torch
from torch import Tensor

from salreg import sanity
from salreg.attributions import Attribution
from salreg.callbacks.behaviour import Behaviour
from salreg.callbacks.monitoring import Chunk, explain, run
from salreg.callbacks.predictions import ABSENT, joined, predicted
from salreg.callbacks.replay import Replay
from salreg.metrics.functional.predictions import predicted_classes
from salreg.sanity import SanityCheck

_CHUNK = 16
_ROUNDS = 4  # of donors: a panel is small


def panel_maps(replay: Replay, attribution: Attribution, panel: Chunk) -> tuple[Tensor, list[int | float]]:
    """Maps of the panel on the annotations' grid ``(B, ...)``, on the CPU, and the predicted classes, or
    a regression's outputs where there is one a sample.

    Raises:
        RuntimeError: Some of the samples cannot be explained, others can; it says which.
    """

    def observe(piece: Chunk) -> tuple[Tensor, list[int | float]]:
        saliency, recording = explain(replay, attribution, piece)
        if recording.link in ("tokens", "span"):
            return saliency.cpu(), [ABSENT] * len(piece)
        logits = recording.require_logits().detach()
        is_number = recording.link == "regression" and logits[0].numel() == 1
        return saliency.cpu(), (logits.flatten() if is_number else predicted_classes(logits)).tolist()

    panel = panel.to(replay.module.device)
    try:
        observed = [observe(piece) for piece in panel.pieces(_CHUNK)]
    except Exception as error:
        failing = _failing(observe, panel)
        if failing is None:
            raise
        raise RuntimeError(f"sample {failing[0]} of the panel cannot be explained: {failing[1]}") from error
    return torch.cat([maps for maps, _ in observed]), [one for _, predictions in observed for one in predictions]


def _failing(observe: Callable[[Chunk], object], panel: Chunk) -> tuple[int, Exception] | None:
    """The first sample that fails alone; None where it is none of them, or not the sample's fault because all do."""
    errors: dict[int, Exception] = {}
    for number, piece in enumerate(panel.pieces(1)):
        try:
            observe(piece)
        except Exception as error:
            errors[number] = error
    return next(iter(errors.items())) if 0 < len(errors) < len(panel) else None


def panel_behaviour(replay: Replay, panel: Chunk) -> dict[str, float]:
    """The panel's ``reliance`` (worst of ``reliance_content``, ``reliance_removal``, ``reliance_insertion``) and
    ``constant_predictions``, as ``Behaviour`` measures them, by one process alone."""
    behaviour = Behaviour(across_ranks=False)
    behaviour.reset(replay.module.device)
    panel = panel.to(replay.module.device)
    with torch.no_grad():
        before = joined([predicted(run(replay, piece), piece) for piece in panel.pieces(_CHUNK)])
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
