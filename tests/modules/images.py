"""Between the batch's pixels and the network: preprocessing and augmentation in the step."""

from typing import Any

import kornia.augmentation
import torch
from modules.pattern import SAMPLES, Data, Pattern, base, convolutional, pairs
from modules.pattern import images as marked_images
from torch.nn.functional import cross_entropy


def called_by_forward(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self.forward(x), y)

    return Module()


def lightning_tutorial(package: Any) -> Any:
    return base(package)(convolutional())


def normalised_in_the_step(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self((x - 128) / 40), y)

    return Module()


def divided_by_255(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self(x.float() / 255), y)

    return Module()


def bytes_divided_by_255(package: Any) -> Any:
    return divided_by_255(package)


def channels_last(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self(x.to(memory_format=torch.channels_last)), y)

    return Module(convolutional()).to(memory_format=torch.channels_last)


def flattened_by_view(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self(x.view(x.size(0), -1)), y)

    return Module()


def concatenated_views(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self(torch.cat([x, x.flip(3)])), y.repeat(2))

        def validation_step(self, batch, batch_idx):
            x, y = batch
            self.log("val/loss", cross_entropy(self(x), y))

    return Module()


def mixup_in_the_step(package: Any) -> Any:
    class Module(base(package)):
        def training_step(self, batch, batch_idx):
            x, y = batch
            share, order = torch.rand(()), torch.randperm(len(x))
            logits = self(share * x + (1 - share) * x[order])
            return share * cross_entropy(logits, y) + (1 - share) * cross_entropy(logits, y[order])

    return Module()


def _mixed(module: Any, x: Any, batch: Any) -> Any:
    if not module.training:
        return module.net(x)
    share, order = torch.rand(()), torch.randperm(len(x))
    return module.net(share * x + (1 - share) * x[order])


def mixup_with_soft_targets(package: Any) -> Any:
    class Module(base(package)):
        def training_step(self, batch, batch_idx):
            x, y = batch
            share, order = torch.rand(()), torch.randperm(len(x))
            hot = torch.nn.functional.one_hot(y, 3).float()
            return cross_entropy(self(share * x + (1 - share) * x[order]), share * hot + (1 - share) * hot[order])

    return Module()


def kornia_in_the_step(package: Any) -> Any:
    class Module(base(package)):
        def __init__(self):
            super().__init__()
            self.augment = kornia.augmentation.AugmentationSequential(
                kornia.augmentation.RandomHorizontalFlip(p=0.5), kornia.augmentation.RandomErasing(p=0.5)
            )

        def training_step(self, batch, batch_idx):
            x, y = batch
            return cross_entropy(self(self.augment(x)), y)

    return Module()


def kornia_in_on_after_batch_transfer(package: Any) -> Any:
    class Module(base(package)):
        def __init__(self):
            super().__init__()
            self.augment = kornia.augmentation.RandomHorizontalFlip(p=0.5)

        def on_after_batch_transfer(self, batch, dataloader_idx):
            x, y = batch
            return (self.augment(x) if self.trainer.training else x), y

    return Module()


def transform_without_gradients(package: Any) -> Any:
    """Kornia's tutorial wraps its transforms in ``no_grad``; the pixels come out elsewhere."""

    class Module(base(package)):
        @torch.no_grad()
        def augmented(self, x):
            return x.flip(3)

        def training_step(self, batch, batch_idx):
            x, y = batch
            return cross_entropy(self(self.augmented(x)), y)

    return Module()


def transform_with_gradients(package: Any) -> Any:
    class Module(base(package)):
        def training_step(self, batch, batch_idx):
            x, y = batch
            return cross_entropy(self(x.flip(3)), y)

    return Module()


def array_in_the_step(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            self.brightest = float(x.numpy().max())
            return cross_entropy(self(x), y)

    return Module()


def changed_in_place(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            x.sub_(0.5).div_(0.25)
            return cross_entropy(self(x), y)

    return Module()


def resized_in_the_step(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self(torch.nn.functional.interpolate(x, size=(4, 4), mode="bilinear")), y)

    from modules.pattern import perceptron

    return Module(perceptron(inputs=16))


def grey_made_colour(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self(x.repeat(1, 3, 1, 1)), y)

    from modules.pattern import perceptron

    return Module(perceptron(inputs=3 * 64))


def _bytes() -> Data:
    x, y, annotations = marked_images(40.0)
    return Data(list(zip(x.byte(), y, strict=True)), annotations)


def _plain(module: Any, x: Any, batch: Any) -> Any:
    return module.net(x)


def _augmented(module: Any, x: Any, batch: Any) -> Any:
    return module.net(module.augment(x) if module.training else x)


PATTERNS = [
    Pattern(lightning_tutorial, pairs(), _plain),
    Pattern(called_by_forward, pairs(), _plain),
    Pattern(normalised_in_the_step, pairs(100.0), lambda m, x, _: m.net((x - 128) / 40)),
    Pattern(divided_by_255, pairs(100.0), lambda m, x, _: m.net(x / 255)),
    Pattern(
        bytes_divided_by_255,
        _bytes(),
        refused="convert the input to float in the dataset",
        remedy={"data": pairs(40.0), "sees": lambda m, x, _: m.net(x / 255)},
        unmeasured="float",
    ),
    Pattern(channels_last, pairs(), _plain),
    Pattern(flattened_by_view, pairs(), _plain),
    Pattern(concatenated_views, pairs(), lambda m, x, _: m.net(torch.cat([x, x.flip(3)])) if m.training else m.net(x)),
    Pattern(mixup_in_the_step, pairs(), _mixed),
    Pattern(mixup_with_soft_targets, pairs(), _mixed),
    Pattern(kornia_in_the_step, pairs(), _augmented),
    Pattern(kornia_in_on_after_batch_transfer, pairs(), _augmented),
    Pattern(
        transform_without_gradients,
        pairs(),
        refused="keep it differentiable",
        remedy={"make": transform_with_gradients, "sees": lambda m, x, _: m.net(x.flip(3) if m.training else x)},
    ),
    Pattern(array_in_the_step, pairs(), _plain),
    Pattern(changed_in_place, pairs(), lambda m, x, _: m.net((x - 0.5) / 0.25)),
    Pattern(resized_in_the_step, pairs(), lambda m, x, _: m.net(torch.nn.functional.interpolate(x, (4, 4), mode="bilinear"))),
    Pattern(grey_made_colour, pairs(2.0), lambda m, x, _: m.net(x.repeat(1, 3, 1, 1))),
]
assert len(marked_images()[0]) == SAMPLES
