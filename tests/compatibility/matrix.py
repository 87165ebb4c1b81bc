"""A table of what the regulariser works with; ``test_matrix.py`` checks each cell.

Run:  PYTHONPATH=tests python -m compatibility.matrix > docs/compatibility.md
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from support import Lit, conv_net
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint
from two_processes import Gloo

#: The regularizer's arguments for each column.
WAYS: dict[str, dict[str, Any]] = {
    "exact": {"differentiation": "exact"},
    "finite_difference": {"differentiation": "finite_difference"},
    "compile": {"differentiation": "exact", "compile": True},
}


@dataclass
class Feature:
    """A way to train.

    Attributes:
        make: Creates the module.
        options: Returns the Trainer's options, new ones each time because a strategy can be used only once.
        refused: A part of the error's message, by the way to differentiate that is refused.
        note: The text that the table shows beside "yes".
        loose: The difference allowed from a training with a hand-written second derivative, as a share of the penalty's effect.
        processes: The number of processes.
    """

    make: Callable[[], Lit] = lambda: Lit(conv_net(smooth=True))
    options: Callable[[], dict[str, Any]] = dict
    refused: dict[str, str] = field(default_factory=dict)
    note: dict[str, str] = field(default_factory=dict)
    loose: dict[str, float] = field(default_factory=lambda: {"exact": 0.01, "finite_difference": 0.1, "compile": 0.01})
    processes: int = 1


class Manual(Lit):
    def __init__(self, net: nn.Module | None = None) -> None:
        super().__init__(net or conv_net(smooth=True))
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        x, y = batch
        self.update(cross_entropy(self(x), y))

    def update(self, loss: Tensor) -> None:
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()


class Checkpointed(nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.inner, self.reentrant = conv_net(smooth=True), reentrant

    def forward(self, x: Tensor) -> Tensor:
        hidden = checkpoint(self.inner[:4], x, use_reentrant=self.reentrant)
        return self.inner[4:](hidden)


class Attention(nn.Module):
    """A transformer on the attention kernel that PyTorch uses by default."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 16, 2, 2)
        layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


class Rows(nn.Module):
    """An LSTM that reads an image row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x.squeeze(1))[0][:, -1])


def compiled_network() -> Lit:
    module = Lit(conv_net(smooth=True))
    module.net = torch.compile(module.net, backend="aot_eager")
    return module


def compiled_in_place() -> Lit:
    module = Lit(Attention())
    module.net.compile(backend="aot_eager")
    return module


def compiled_module() -> Lit:
    return torch.compile(Lit(conv_net(smooth=True)), backend="aot_eager")  # type: ignore[no-any-return]


def _scaled() -> dict[str, Any]:
    return {"plugins": [MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=1024.0))]}


_EAGER = {"exact": "penalised steps run uncompiled"}
_ROUNDED = {"exact": 0.05, "finite_difference": 0.7, "compile": 0.05}

FEATURES = {
    "32-true": Feature(),
    "64-true": Feature(options=lambda: {"precision": "64-true"}),
    "bf16-mixed": Feature(options=lambda: {"precision": "bf16-mixed"}, loose=_ROUNDED),
    "bf16-true": Feature(options=lambda: {"precision": "bf16-true"}, loose=_ROUNDED),
    "16-mixed, with a GradScaler": Feature(options=_scaled, loose=_ROUNDED),
    "accumulate_grad_batches": Feature(options=lambda: {"accumulate_grad_batches": 2}),
    "gradient clipping": Feature(options=lambda: {"gradient_clip_val": 0.05}),
    "manual optimization": Feature(Manual),
    "fused attention": Feature(
        lambda: Lit(Attention()),
        note={
            "exact": "penalised passes run on the math kernel",
            "finite_difference": "stays fused",
            "compile": "penalised passes run on the math kernel",
        },
    ),
    "LSTM, GRU": Feature(lambda: Lit(Rows()), note={"exact": "on CUDA, penalised passes run without cuDNN"}),
    "torch.compile(network)": Feature(compiled_network, note=_EAGER | {"finite_difference": "stays compiled"}),
    "network.compile()": Feature(compiled_in_place, note=_EAGER | {"finite_difference": "stays compiled"}),
    "torch.compile(LightningModule)": Feature(compiled_module, note=dict.fromkeys(WAYS, _EAGER["exact"])),
    "checkpoint(use_reentrant=False)": Feature(lambda: Lit(Checkpointed(False))),
    "checkpoint(use_reentrant=True)": Feature(
        lambda: Lit(Checkpointed(True)), refused=dict.fromkeys(WAYS, "use_reentrant=False")
    ),
    "DDP": Feature(options=lambda: {"strategy": Gloo(), "devices": 2}, processes=2),
    "DDP, static graph": Feature(options=lambda: {"strategy": Gloo(static_graph=True), "devices": 2}, processes=2),
    "DDP, find_unused_parameters": Feature(
        options=lambda: {"strategy": Gloo(find_unused_parameters=True), "devices": 2}, processes=2
    ),
}


def table() -> str:
    """The page of the documentation."""
    from compatibility.pairs import table as pairs_table

    rows = [
        f"| {name} | yes | {' | '.join(_cell(feature, way) for way in WAYS)} |"
        for name, feature in FEATURES.items()
    ]  # fmt: skip
    return "\n".join(
        [
            "# What it works with",
            "",
            "Generated from `tests/compatibility/matrix.py` (`make compatibility`). `tests/compatibility/test_matrix.py`",
            "trains every cell on a CPU and compares it with a step in which the same intervention or second derivative is",
            "written by hand. A combination that is refused raises an error that says what to change.",
            "",
            "| | by default: the intervention | `differentiation=\"exact\"` (and `\"auto\"`) "
            "| `differentiation=\"finite_difference\"` | `compile=True` |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "| FSDP2 (`ModelParallelStrategy`) | yes | yes | refused: take `exact` | refused: take `exact` |",
            "",
            "- Finite differences need a network without kinks (ReLU, max-pooling) between the tap and the logits.",
            "- In half precision, finite differences take two sides and are inaccurate: see docs/performance.md.",
            "- `tests/callbacks/test_sharded.py` trains FSDP2 with snapshots, streams, metrics and the sanity check of the",
            "  maps, for which all processes run the same passes together. Tensor parallelism was not tried. FSDP1",
            "  (`FSDPStrategy`), which runs only on GPUs, and DeepSpeed are refused.",
            "- fp16 on GPUs, and more than one machine, were not tried.",
            "",
            *pairs_table(),
        ]
    )  # fmt: skip


def _cell(feature: Feature, way: str) -> str:
    if way in feature.refused:
        return f"refused: {feature.refused[way]}"
    return "yes" + (f"; {feature.note[way]}" if way in feature.note else "")


if __name__ == "__main__":
    print(table(), end="")
