"""Small models and data that several tests use."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset, TensorDataset

from salreg.callbacks import SaliencyRegularizer, SaliencySnapshots
from salreg.data import AnnotatedDataset
from salreg.history import Frame, History
from salreg.sanity import SanityCheck

SIDE = 8
#: Of a recipe that is to be trained and drawn, quietly and once.
ONE_EPOCH = [
    "trainer.max_epochs=1",
    "snapshots.panel=4",
    "snapshots.sanity=false",
    "logger=none",
    "trainer.enable_progress_bar=false",
]


def images(n: int = 24, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """``n`` random images ``(n, 1, 8, 8)``, labels of three classes, and annotations: a 3 x 3 spurious corner, which gives
    the class away, on two of three samples."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 1, SIDE, SIDE, generator=generator)
    y = torch.randint(0, 3, (n,), generator=generator)
    x[:, :, :3, :3] = y.view(-1, 1, 1, 1) / 2
    annotations = torch.zeros(n, 1, SIDE, SIDE, dtype=torch.int8)
    annotations[:, :, :3, :3] = -1
    annotations[::3] = 0
    return x, y, annotations


def annotated(n: int = 24, seed: int = 0) -> AnnotatedDataset:
    x, y, annotations = images(n, seed)
    return AnnotatedDataset(TensorDataset(x, y), annotations)


def loader(dataset: Dataset[Any] | None = None, batch_size: int = 8, **options: Any) -> DataLoader[Any]:
    return DataLoader(annotated() if dataset is None else dataset, batch_size, **options)


def plain_loader(n: int = 24, batch_size: int = 8, shuffle: bool = False) -> DataLoader[Any]:
    """The same samples without salreg."""
    x, y, _ = images(n)
    return DataLoader(TensorDataset(x, y), batch_size, shuffle=shuffle)


def conv_net(smooth: bool = False) -> nn.Sequential:
    act = nn.Tanh if smooth else nn.ReLU
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), act(), nn.Conv2d(4, 4, 3), act(), nn.Flatten(), nn.Linear(4 * 36, 3)
    )  # fmt: skip


def noisy_net() -> nn.Sequential:
    """With BatchNorm, whose statistics any extra forward pass would change, and Dropout, which draws random numbers."""
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(4 * 36, 3))


class Lit(pl.LightningModule):
    """An ordinary module: ``x, y = batch``, ``self(x)``, cross-entropy."""

    def __init__(self, net: nn.Module | None = None, lr: float = 0.1) -> None:
        super().__init__()
        self.net = conv_net() if net is None else net
        self.lr = lr

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        x, y = batch
        return cross_entropy(self(x), y)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        self.log("val/loss", cross_entropy(self(x), y))

    test_step = validation_step

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)


def trainer(*callbacks: pl.Callback, epochs: int = 2, **options: Any) -> pl.Trainer:
    defaults: dict[str, Any] = {
        "max_epochs": epochs,
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    }
    return pl.Trainer(callbacks=list(callbacks), **{**defaults, **options})


def fit(module: pl.LightningModule, *callbacks: pl.Callback, data: Any = None, val: Any = None, **options: Any) -> pl.Trainer:
    """Train with a fixed seed on the annotated images (or ``data``)."""
    torch.manual_seed(1)
    used = trainer(*callbacks, **options)
    used.fit(module, loader() if data is None else data, val)
    return used


def fresh(make: Any = Lit, *args: Any, **kwargs: Any) -> Any:
    """A module with always the same initial parameters."""
    torch.manual_seed(0)
    return make(*args, **kwargs)


def same(a: nn.Module, b: nn.Module) -> bool:
    """Whether two modules hold bit-identical parameters and buffers, compared in order."""
    left, right = list(a.state_dict().values()), list(b.state_dict().values())
    return len(left) == len(right) and all(torch.equal(x, y) for x, y in zip(left, right, strict=True))


def distance(a: nn.Module, b: nn.Module) -> float:
    """The largest absolute difference between parameters."""
    return max(float((x - y).detach().abs().max()) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def regularizer(**options: Any) -> SaliencyRegularizer:
    """The penalty alone, unless said otherwise."""
    return SaliencyRegularizer(**{"weight": 3.0, "intervene": False, **options})


def snapshots(**options: Any) -> SaliencySnapshots:
    """Pictures of the panel without probes and without checks of the maps, unless said otherwise."""
    return SaliencySnapshots(**{"probes": [], "sanity": False, **options})


def history_of_words(label: str = "good", word: str = "video") -> History:
    """What snapshots of two texts might have seen: five words, of which the second is a decoy, and padding."""
    ids = [torch.tensor([3, 1, 4, 5, 6, 0]), torch.tensor([4, 1, 0, 0, 0, 0])]
    marks = [torch.tensor([0, -1, 0, 0, 1, 127]), torch.tensor([0, -1, 127, 127, 127, 127])]
    names = ["<pad>", word, "text", "a", "fine", "film", "indeed"]
    seen = History(ids, marks, [label] * 2, [[names[number] for number in one.tolist()] for one in ids])
    for epoch in range(3):
        seen.add("input_gradient", Frame(epoch, [torch.rand(6), torch.rand(6)], [label] * 2, [0.5, 0.25]))
    return seen


def history_of_a_table(columns: int = 4) -> History:
    """What snapshots of two rows might have seen."""
    mark = torch.zeros(columns)
    mark[0], mark[1] = -1, 1
    names = ["race", "age", *(f"column {number}" for number in range(2, columns))]
    seen = History([torch.rand(columns)] * 2, [mark] * 2, ["yes", "no"], [names] * 2)
    for epoch in range(3):
        seen.add("input_gradient", Frame(epoch, [torch.rand(columns)] * 2, ["yes"] * 2, [0.5, 0.25]))
    return seen


def history(epochs: int = 3, seed: int = 0, label: str = "cat") -> History:
    """What snapshots of two samples might have seen."""
    x, _, annotations = images(2)
    seen = History(list(x), list(annotations), [label] * 2)
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        share = 0.4 / (epoch + 1)
        maps = [torch.rand(SIDE, SIDE, generator=generator) for _ in range(2)]
        seen.add("input_gradient", Frame(epoch, maps, [label] * 2, [share, float("nan")]))
        seen.panel.append({"epoch": epoch, "attribution": "input_gradient", "probe": False, "spurious_saliency": share})
        seen.curves[epoch] = {"val/accuracy": 0.9, "panel/reliance": share, "panel/reliance_content": share}
    curve = [1.0, 0.5, 0.0]
    seen.sanity = {"input_gradient": SanityCheck({"net.2": 0.5, "net.0": 0.1}, curve, curve[::-1], curve, curve[::-1])}
    return seen
