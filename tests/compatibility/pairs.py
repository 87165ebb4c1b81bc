"""Pairs of features in one training; ``test_pairs.py`` checks each row."""

from typing import Any

import torch
from compatibility.matrix import (
    _ROUNDED,
    Attention,
    Checkpointed,
    Feature,
    Manual,
    Rows,
    _scaled,
    compiled_network,
)
from support import Lit, conv_net
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint
from two_processes import Gloo


class TwoOptimizers(Manual):
    """One for the convolutions and one for the head, whose gradients are clipped by hand."""

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(part.parameters(), lr=self.lr, momentum=0.9) for part in (self.net[:4], self.net[4:])]

    def update(self, loss: Tensor) -> None:
        optimizers = self.optimizers()
        for optimizer in optimizers:
            optimizer.zero_grad()
        self.manual_backward(loss)
        for optimizer in optimizers:
            self.clip_gradients(optimizer, gradient_clip_val=0.05, gradient_clip_algorithm="norm")
            optimizer.step()


class Mixup(Lit):
    """Mixes each sample with one of the batch in the step."""

    def __init__(self) -> None:
        super().__init__(conv_net(smooth=True))

    def logits(self, x: Tensor) -> Tensor:
        return self.net(0.7 * x + 0.3 * x.flip(0))

    def criterion(self, logits: Tensor, y: Tensor) -> Tensor:
        return 0.7 * cross_entropy(logits, y) + 0.3 * cross_entropy(logits, y.flip(0))

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        x, y = batch
        return self.criterion(self.logits(x), y)


class Attending(nn.Module):
    """A block of ``nn.MultiheadAttention`` on patches, which may be checkpointed."""

    def __init__(self, checkpointed: bool) -> None:
        super().__init__()
        self.patches, self.attention = nn.Conv2d(1, 8, 2, 2), nn.MultiheadAttention(8, 2, batch_first=True)
        self.head, self.checkpointed = nn.Linear(8, 3), checkpointed

    def block(self, tokens: Tensor) -> Tensor:
        return tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = checkpoint(self.block, tokens, use_reentrant=False) if self.checkpointed else self.block(tokens)
        return self.head(tokens.mean(1))


_ACCUMULATED = {"accumulate_grad_batches": 3}

PAIRS: dict[tuple[str, str], Feature] = {
    ("bf16-mixed", "checkpoint(use_reentrant=False)"): Feature(
        lambda: Lit(Checkpointed(False)), lambda: {"precision": "bf16-mixed"}, loose=_ROUNDED
    ),
    ("bf16-mixed", "fused attention"): Feature(lambda: Lit(Attention()), lambda: {"precision": "bf16-mixed"}, loose=_ROUNDED),
    ("16-mixed, with a GradScaler", "accumulate_grad_batches"): Feature(
        options=lambda: _scaled() | _ACCUMULATED, loose=_ROUNDED
    ),
    ("torch.compile(network)", "accumulate_grad_batches"): Feature(compiled_network, lambda: dict(_ACCUMULATED)),
    ("gradient clipping", "accumulate_grad_batches"): Feature(options=lambda: _ACCUMULATED | {"gradient_clip_val": 0.05}),
    ("manual optimization", "LSTM, GRU"): Feature(lambda: Manual(Rows())),
    ("gradient clipping", "two optimizers, manual optimization"): Feature(lambda: TwoOptimizers()),
    ("manual optimization", "checkpoint(use_reentrant=False)"): Feature(lambda: Manual(Checkpointed(False))),
    ("manual optimization", "64-true"): Feature(Manual, lambda: {"precision": "64-true"}),
    ("manual optimization", "DDP"): Feature(Manual, lambda: {"strategy": Gloo(), "devices": 2}, processes=2),
    ("mixup in the step", "presence is drawn"): Feature(Mixup),
    ("mixup in the step", "accumulate_grad_batches"): Feature(Mixup, lambda: dict(_ACCUMULATED)),
}

ATTENTION = ("checkpoint(use_reentrant=False)", "an attribution of attention weights")


def table() -> list[str]:
    """The lines of the second table in the documentation."""
    rows = [f"| {first} | {second} | yes | yes |" for first, second in PAIRS]
    return [
        "# Two at a time",
        "",
        "`tests/compatibility/test_pairs.py` trains each pair and compares it with a step that is written by hand.",
        "",
        '| | | by default: the intervention | `differentiation="exact"` |',
        "| --- | --- | --- | --- |",
        *rows,
        f"| {' | '.join(ATTENTION)} | yes | yes |",
        "",
    ]
