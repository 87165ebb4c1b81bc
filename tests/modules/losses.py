"""Losses and targets of many kinds: what the logits are, and what they are compared with."""

from typing import Any

import torch
from modules.pattern import CLASSES, Data, Pattern, base, images, of, pairs, perceptron
from torch import nn
from torch.nn.functional import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    kl_div,
    log_softmax,
    mse_loss,
    nll_loss,
    one_hot,
    smooth_l1_loss,
)


def sigmoid_and_bce(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return binary_cross_entropy(self(x).squeeze(1), y.float())

    return Module(nn.Sequential(*perceptron(1), nn.Sigmoid()))


def chexnet(package: Any) -> Any:
    """Sigmoids of 3 findings in the model, and BCELoss."""

    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return nn.BCELoss()(self(x), y)

    return Module(nn.Sequential(*perceptron(), nn.Sigmoid()))


def binary_logit(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return binary_cross_entropy_with_logits(self(x).squeeze(-1), y.float())

    return Module(perceptron(1))


def multi_hot(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return binary_cross_entropy_with_logits(self(x), y)

    return Module()


def torchxrayvision(package: Any) -> Any:
    """Each finding has its own loss, over the samples in which it is known."""

    class Module(base(package)):
        def loss(self, batch):
            logits, loss = self(batch["img"]), torch.zeros(())
            for finding in range(CLASSES):
                known = ~batch["lab"][:, finding].isnan()
                loss = loss + binary_cross_entropy_with_logits(logits[known, finding], batch["lab"][known, finding])
            return loss

    return Module()


def softmax_and_nll(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return nll_loss(self(x).log(), y)

    return Module(nn.Sequential(*perceptron(), nn.Softmax(1)))


def log_softmax_and_nll(package: Any) -> Any:
    """Lightning's first MNIST classifier."""

    class Module(base(package)):
        def forward(self, x):
            return log_softmax(self.net(x), dim=1)

        def loss(self, batch):
            x, y = batch
            return nll_loss(self(x), y)

    return Module()


def one_hot_labels(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self(x), y.float())

    return Module()


def soft_labels(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return kl_div(log_softmax(self(x), 1), y, reduction="batchmean")

    return Module()


def ignored_labels(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self(x), y)

    return Module()


def smoothed_labels(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self(x), y, label_smoothing=0.1, weight=torch.tensor([1.0, 2.0, 1.0]))

    return Module()


def focal_loss(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            logs = log_softmax(self(x), 1).gather(1, y.view(-1, 1)).squeeze(1)
            return (-((1 - logs.exp()) ** 2) * logs).mean()

    return Module()


def regression(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return mse_loss(self(x).squeeze(-1), y)

    return Module(perceptron(1))


def robust_regression_of_several(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return smooth_l1_loss(self(x), y)

    return Module(perceptron(2))


def ordinal(package: Any) -> Any:
    """Cumulative targets: of three grades, "at least the second" and "the third"."""

    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            levels = (y.view(-1, 1) > torch.arange(2)).float()
            return binary_cross_entropy_with_logits(self(x), levels)

    return Module(perceptron(2))


def distillation(package: Any) -> Any:
    class Module(base(package)):
        def __init__(self):
            super().__init__()
            self.teacher = perceptron().requires_grad_(False)

        def loss(self, batch):
            x, y = batch
            with torch.no_grad():
                soft = (self.teacher(x) / 2).softmax(1)
            logits = self(x)
            return cross_entropy(logits, y) + kl_div(log_softmax(logits / 2, 1), soft, reduction="batchmean")

    return Module()


def autoencoder(package: Any) -> Any:
    class Module(base(package)):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.Tanh())
            self.decoder = nn.Linear(4, 64)
            del self.net

        def loss(self, batch):
            x, _ = batch
            return mse_loss(self.decoder(self.encoder(x)), x.view(x.size(0), -1))

    return Module()


def simclr(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, _ = batch
            return cross_entropy(_similarities(self, x, batch), torch.arange(2 * len(x)).roll(len(x)))

    return Module(perceptron(4))


def clip(package: Any) -> Any:
    class Module(base(package)):
        def __init__(self):
            super().__init__()
            del self.net
            self.image, self.text = perceptron(4), nn.Sequential(nn.Linear(CLASSES, 4), nn.Tanh())
            self.scale = nn.Parameter(torch.tensor(1.0))

        def compared(self, x, words):
            image, text = (nn.functional.normalize(one, dim=1) for one in (self.image(x), self.text(words)))
            return self.scale.exp() * image @ text.T

        def loss(self, batch):
            x, words = batch
            logits = self.compared(x, words)
            pairs = torch.arange(len(x))
            return (cross_entropy(logits, pairs) + cross_entropy(logits.T, pairs)) / 2

    return Module()


def clip_with_a_module(package: Any) -> Any:
    module = clip(package)
    module.logits, compared = nn.Identity(), module.compared
    module.compared = lambda x, words: module.logits(compared(x, words))
    return module


def linear_probe_by_mse(package: Any) -> Any:
    """Squared error of one-hot classes."""

    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return mse_loss(self(x), one_hot(y, CLASSES).float())

    return Module()


def _binary() -> Data:
    return pairs(classes=2)


def _multi_hot(x: Any, y: Any) -> Any:
    return torch.stack([y > 0, y > 1, x.mean() > 1]).float()


def _unknown(x: Any, y: Any) -> Any:
    labels = _multi_hot(x, y)
    labels[0] = torch.nan if x[0, 7, 7] > 0.8 else labels[0]
    return labels


def _with_ignored() -> Data:
    x, y, annotations = images()
    y[1::5] = -100
    return Data(list(zip(x, y, strict=True)), annotations)


def _plain(module: Any, x: Any, _: Any) -> Any:
    return module.net(x)


def _before_the_last(module: Any, x: Any, _: Any) -> Any:
    return module.net[:-1](x)


def _similarities(module: Any, x: Any, _: Any) -> Any:
    views = nn.functional.normalize(module.net(torch.cat([x, x.flip(3)])), dim=1)
    return (views @ views.T / 0.1).masked_fill(torch.eye(len(views), dtype=torch.bool), -1e9)


PATTERNS = [
    Pattern(sigmoid_and_bce, _binary(), _before_the_last, link="sigmoid"),
    Pattern(chexnet, of(lambda x, y: (x, _multi_hot(x, y))), _before_the_last, link="sigmoid"),
    Pattern(binary_logit, _binary(), _plain, link="sigmoid"),
    Pattern(multi_hot, of(lambda x, y: (x, _multi_hot(x, y))), _plain, link="sigmoid"),
    Pattern(
        torchxrayvision,
        of(lambda x, y: {"idx": y, "lab": _unknown(x, y), "img": x}),
        _plain,
        link="sigmoid",
        input=lambda _, batch: batch["img"],
    ),
    Pattern(softmax_and_nll, pairs(), _before_the_last),
    Pattern(log_softmax_and_nll, pairs(), _plain),
    Pattern(one_hot_labels, of(lambda x, y: (x, one_hot(y, CLASSES))), _plain),
    Pattern(soft_labels, of(lambda x, y: (x, one_hot(y, CLASSES) * 0.7 + 0.1)), _plain),
    Pattern(ignored_labels, _with_ignored(), _plain),
    Pattern(smoothed_labels, pairs(), _plain),
    Pattern(focal_loss, pairs(), _plain),
    Pattern(regression, of(lambda x, y: (x, y.float())), _plain, link="regression"),
    Pattern(
        robust_regression_of_several,
        of(lambda x, y: (x, torch.stack([y.float(), x.mean()]))),
        _plain,
        link="regression",
    ),
    Pattern(ordinal, pairs(), _plain, link="sigmoid"),
    Pattern(distillation, pairs(), _plain),
    Pattern(
        autoencoder,
        pairs(),
        lambda m, x, _: m.decoder(m.encoder(x)),
        link="regression",
    ),
    Pattern(
        simclr,
        pairs(),
        _similarities,
        reliance=False,
        unmeasured="rows of logits for",
    ),
    Pattern(
        clip,
        of(lambda x, y: (x, one_hot(y, CLASSES).float())),
        lambda m, x, batch: m.compared(x, batch[1]),
        reliance=False,
        refused="Pass the logits through their own module",
        remedy={"make": clip_with_a_module, "options": {"forward_module": "logits"}},
        unmeasured="Pass the logits through their own module",
    ),
    Pattern(linear_probe_by_mse, pairs(), _plain, link="regression"),
]
