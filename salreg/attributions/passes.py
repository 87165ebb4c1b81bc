"""Runs many versions of a batch through a recorded call in bounded memory."""

from collections.abc import Iterator

import torch
from torch import Tensor

from salreg import scores
from salreg.attributions.base import gradient_at
from salreg.taps import Recording

# Numbers in the inputs of one pass, and never less than one batch. On a CPU activations should stay in the cache: five
# batches of
# 64 x 3 x 32 x 32 in one pass take a small ResNet three times as long as one after the other. A GPU should be busy.
_NUMBERS_PER_PASS = {"cpu": 2**18}
_NUMBERS_PER_PASS_ELSEWHERE = 2**23


def gradients_at(
    recording: Recording, versions: Tensor, score: scores.Score, target: Tensor | None, create_graph: bool
) -> Tensor:
    """The gradient of the score at k versions of the recorded input.

    Args:
        recording: The pass to repeat.
        versions: ``(k, B, ...)``.
        score: The score to explain.
        target: True classes ``(B,)``.
        create_graph: Keep the gradients differentiable; then all versions go through one pass.

    Returns:
        ``(k, B, ...)``.
    """
    if create_graph:
        return _gradients(recording, versions, score, target, True)
    return torch.cat([_gradients(recording, some, score, target, False) for some in in_passes(versions)])


def scores_at(recording: Recording, versions: Tensor, score: scores.Score, target: Tensor | None) -> Tensor:
    """The score of k versions ``(k, B, ...)`` of the recorded input: ``(k, B)``; differentiable if gradients are enabled."""
    return torch.cat([_scores(recording, some, score, target) for some in in_passes(versions)])


def in_passes(versions: Tensor) -> Iterator[Tensor]:
    """Cut ``(k, B, ...)`` along k so that each piece fits into one pass."""
    budget = _NUMBERS_PER_PASS.get(versions.device.type, _NUMBERS_PER_PASS_ELSEWHERE)
    yield from versions.split(max(1, budget // max(versions[0].numel(), 1)))


def _gradients(recording: Recording, versions: Tensor, score: scores.Score, target: Tensor | None, graph: bool) -> Tensor:
    again = recording.repeat(versions.detach().flatten(0, 1))
    return gradient_at(again, None, score, _tiled(target, len(versions)), graph).view_as(versions)


def _scores(recording: Recording, versions: Tensor, score: scores.Score, target: Tensor | None) -> Tensor:
    again = recording.repeat(versions.flatten(0, 1))
    values = scores.evaluate(score, again.require_logits(), _tiled(target, len(versions)), again.link)
    return values.view(versions.shape[:2])


def _tiled(target: Tensor | None, times: int) -> Tensor | None:
    return None if target is None else target.repeat(times, *[1] * (target.ndim - 1))
