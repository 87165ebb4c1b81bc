"""Fits the network to few marked images and many that nobody looked at."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from salreg.propagation.copy_paste import UNKNOWN, CopyPaste
from salreg.propagation.network import RegionNet

BATCH, STEPS, RATE, DECAY = 32, 300, 4e-3, 0.99
_SURE = 0.1


def fit(
    images: Tensor,
    masks: Tensor,
    backgrounds: Callable[[int], Tensor],
    steps: int = STEPS,
    on_step: Callable[[], object] = lambda: None,
) -> nn.Module:
    """Fit a network that finds the marked regions.

    Args:
        images: Normalised images that somebody looked at, ``(N, C, H, W)``.
        masks: Their spurious regions ``(N, 1, H, W)`` in [0, 1].
        backgrounds: Draws a given number of images ``(n, C, H, W)`` that nobody looked at.
        steps: The number of batches.
        on_step: Called after each batch.
    """
    marked = (masks > 0).flatten(1).any(1)
    paste = CopyPaste(images[marked], masks[marked])
    net = RegionNet(images.shape[1]).to(images.device)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on a CPU
    average = copy.deepcopy(net)
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for step in range(steps):
        known, targets = _known(images, masks, marked, BATCH // 2)
        others = backgrounds(BATCH // 2)
        guessed = _guessed(average, others) if step > steps // 3 else torch.full_like(others[:, :1], UNKNOWN)
        inputs, targets = _augmented(torch.cat([known, others]), torch.cat([targets, guessed]), paste)
        loss = _loss(net(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        _follow(average, net, min(DECAY, step / (step + 10)))
        on_step()
    return average.eval()


def _known(images: Tensor, masks: Tensor, marked: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Draw images that somebody looked at; half of them are marked, if there are any without a mark."""
    weights = torch.where(marked, 1 / marked.sum(), 1 / (~marked).sum().clamp(min=1))
    chosen = torch.multinomial(weights, count, replacement=True)
    return images[chosen], masks[chosen]


@torch.no_grad()
def _guessed(teacher: nn.Module, images: Tensor) -> Tensor:
    """The masks that a teacher is certain of (Sohn et al. 2020); the rest is unknown."""
    probability = teacher(images).sigmoid()
    sure = (probability < _SURE) | (probability > 1 - _SURE)
    return torch.where(sure, probability.round(), UNKNOWN)


def _augmented(images: Tensor, targets: Tensor, paste: CopyPaste) -> tuple[Tensor, Tensor]:
    for put, share in ((paste.pasted_clean, 0.5), (paste.pasted, 0.5)):
        chosen = torch.rand(len(images)) < share
        if chosen.any():
            images, targets = images.clone(), targets.clone()
            images[chosen], targets[chosen] = put(images[chosen], targets[chosen])
    return _recoloured(images), targets


def _recoloured(images: Tensor) -> Tensor:
    """Change contrast and brightness a little, and add some noise."""
    contrast = 1 + 0.2 * (2 * torch.rand_like(images[:, :1, :1, :1]) - 1)
    brightness = 0.2 * torch.randn_like(images[:, :, :1, :1])
    noise = 0.1 * torch.rand_like(images[:, :1, :1, :1])
    return images * contrast + brightness + noise * torch.randn_like(images)


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Balanced cross-entropy, and one minus Dice (Milletari et al. 2016), of the known places."""
    known = (targets != UNKNOWN).float()
    inside = targets.clamp(min=0)
    positive = inside.sum() / known.sum().clamp(min=1)
    weight = ((1 - positive) / positive.clamp(min=1e-3)).sqrt().clamp(1, 10)
    entropy = (
        known * binary_cross_entropy_with_logits(logits, inside, reduction="none", pos_weight=weight)
    ).sum() / known.sum()
    found = logits.sigmoid() * known
    dice = (2 * (found * inside).sum() + 1) / (found.sum() + inside.sum() + 1)
    return entropy + 1 - dice


@torch.no_grad()
def _follow(average: nn.Module, net: nn.Module, decay: float) -> None:
    for mean, now in zip(average.parameters(), net.parameters(), strict=True):
        mean.lerp_(now, 1 - decay)
