"""What a pattern is, and the small parts that many of them share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from salreg import AnnotatedDataset
from salreg.data import Collate

SIDE, CLASSES, SAMPLES = 8, 3, 24


class Samples(Dataset[Any]):
    """A dataset of a list."""

    def __init__(self, samples: Sequence[Any]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        return self.samples[index]


class Data(NamedTuple):
    """Samples in somebody's layout, with their annotations.

    Attributes:
        samples: As the user's dataset gives them.
        annotations: One a sample.
        collate: The user's collate function.
    """

    samples: Sequence[Any]
    annotations: Tensor
    collate: Callable[[list[Any]], Any] | None = None

    def loader(self, annotated: bool, batch_size: int) -> DataLoader[Any]:
        """The samples with their annotations, or without salreg."""
        base = Samples(self.samples)
        dataset = AnnotatedDataset(base, self.annotations) if annotated else base
        collate = None if self.collate is None else Collate(self.collate) if annotated else self.collate
        return DataLoader(dataset, batch_size, collate_fn=collate)


class Pattern(NamedTuple):
    """A way in which other people write their modules, and what is to come of it.

    Attributes:
        make: From the package to the module; its name is the pattern's.
        data: What it is trained and validated on.
        sees: The logits that the module makes of its input, written out: ``(module, input, batch) -> (B, C)``. None where
            neither the penalty nor the reliance is compared.
        options: Arguments of all three callbacks.
        regularizer: Arguments of the regularizer alone.
        link: How the logits become probabilities.
        input: The annotated input in a batch; by default its first entry.
        reliance: Whether reliance is compared, too.
        refused: What the error says, where the penalty is refused.
        remedy: What of the pattern changes when the error's advice is followed.
        refused_at_any_weight: Whether there is no training at weight 0 either.
        unmeasured: What the monitors say where they measure nothing.
        loaders: The training data ``(package, annotated) -> loader``, where one loader is not all.
        fit: Further arguments of ``Trainer.fit``: ``(package, annotated) -> arguments``, or None.
        callbacks: The user's own callbacks, from the package.
        faults: What the library still does wrong by check: ``unchanged``, ``monitors``, ``penalty``, ``reliance``, ``refused``.
    """

    make: Callable[[Any], Any]
    data: Data
    sees: Callable[[Any, Tensor, Any], Tensor] | None = None
    options: Mapping[str, Any] = {}
    regularizer: Mapping[str, Any] = {}
    link: str = "softmax"
    input: Callable[[Any, Any], Tensor] = lambda module, batch: batch[0]
    reliance: bool = True
    refused: str = ""
    remedy: Mapping[str, Any] = {}
    refused_at_any_weight: bool = False
    unmeasured: str = ""
    loaders: Callable[[Any, bool], Any] | None = None
    fit: Callable[[Any, bool], dict[str, Any]] | None = None
    callbacks: Callable[[Any], list[Any]] | None = None
    faults: Mapping[str, str] = {}

    @property
    def name(self) -> str:
        return self.make.__name__


def base(package: Any) -> Any:
    """What the modules have in common: a loss of a batch, in training and validation."""

    class Module(package.LightningModule):
        def __init__(self, net: nn.Module | None = None) -> None:
            super().__init__()
            self.net = net or perceptron()

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)

        def loss(self, batch: Any) -> Any:
            x, y = batch
            return cross_entropy(self(x), y)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return self.loss(batch)

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("val/loss", self.loss(batch))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD([one for one in self.parameters() if one.requires_grad], lr=0.02, momentum=0.9)

    return Module


def perceptron(classes: int = CLASSES, inputs: int = SIDE * SIDE) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, classes))


def convolutional(classes: int = CLASSES) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 36, classes))


def images(scale: float = 1.0, classes: int = CLASSES) -> tuple[Tensor, Tensor, Tensor]:
    """Images ``(24, 1, 8, 8)`` whose marked corner shouts the label, labels, and annotations; one of three is not marked."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(SAMPLES, 1, SIDE, SIDE, generator=generator), torch.randint(0, classes, (SAMPLES,), generator=generator)
    x[:, :, :3, :3] += 4.0 * y.view(-1, 1, 1, 1)
    annotations = torch.zeros(SAMPLES, 1, SIDE, SIDE, dtype=torch.int8)
    annotations[:, :, :3, :3] = -1
    annotations[::3] = 0
    return x * scale, y, annotations


def pairs(scale: float = 1.0, classes: int = CLASSES) -> Data:
    """Batches ``(x, y)``."""
    x, y, annotations = images(scale, classes)
    return Data(list(zip(x, y, strict=True)), annotations)


def of(layout: Callable[[Tensor, Tensor], Any], **others: Any) -> Data:
    """Samples in a layout of one's own."""
    x, y, annotations = images()
    return Data([layout(*pair) for pair in zip(x, y, strict=True)], annotations, **others)
