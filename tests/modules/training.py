"""Ways of training: several networks, optimizers and passes, and steps that keep a state."""

import copy
from collections import deque
from typing import Any

import torch
from modules.pattern import CLASSES, Pattern, base, convolutional, pairs, perceptron
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, kl_div, mse_loss
from torchmetrics.classification import MulticlassAccuracy


def generative_adversarial(package: Any) -> Any:
    """Lightning's tutorial: the discriminator gets the real images and the made ones."""

    class Module(base(package)):
        def __init__(self):
            super().__init__(perceptron(1))
            self.generator = nn.Sequential(nn.Linear(4, 64), nn.Tanh())
            self.automatic_optimization = False

        def training_step(self, batch, batch_idx):
            x, _ = batch
            first, second = self.optimizers()
            made = self.generator(torch.randn(len(x), 4)).view_as(x)
            self.toggle_optimizer(first)
            loss = binary_cross_entropy_with_logits(self(made), torch.ones(len(x), 1))
            self.manual_backward(loss)
            first.step()
            first.zero_grad()
            self.untoggle_optimizer(first)
            self.toggle_optimizer(second)
            fake = binary_cross_entropy_with_logits(self(made.detach()), torch.zeros(len(x), 1))
            loss = (binary_cross_entropy_with_logits(self(x), torch.ones(len(x), 1)) + fake) / 2
            self.manual_backward(loss)
            second.step()
            second.zero_grad()
            self.untoggle_optimizer(second)

        def validation_step(self, batch, batch_idx):
            self(batch[0])

        def configure_optimizers(self):
            return [torch.optim.Adam(self.generator.parameters(), 1e-3), torch.optim.Adam(self.net.parameters(), 1e-3)]

    return Module()


def r_drop(package: Any) -> Any:
    """Two passes with other dropout masks, which are to agree."""

    class Module(base(package)):
        def training_step(self, batch, batch_idx):
            x, y = batch
            one, two = self(x), self(x)
            apart = kl_div(one.log_softmax(1), two.softmax(1), reduction="batchmean")
            return (cross_entropy(one, y) + cross_entropy(two, y)) / 2 + apart

    return Module(nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, CLASSES)))


def two_views(package: Any) -> Any:
    """FixMatch and its like: a weak and a strong view."""

    class Module(base(package)):
        def training_step(self, batch, batch_idx):
            x, y = batch
            with torch.no_grad():
                sure = self(x).softmax(1)
            strong = self(x.flip(3) * 0.9)
            return cross_entropy(strong, y) + mse_loss(strong.softmax(1), sure)

    return Module()


def teacher_updated_in_the_step(package: Any) -> Any:
    """Mean teacher, moved in the step before the student sees the batch."""

    class Module(base(package)):
        def __init__(self):
            super().__init__()
            self.teacher = copy.deepcopy(self.net).requires_grad_(False)

        def training_step(self, batch, batch_idx):
            x, y = batch
            with torch.no_grad():
                for mean, one in zip(self.teacher.parameters(), self.net.parameters(), strict=True):
                    mean.mul_(0.9).add_(one, alpha=0.1)
                expected = self.teacher(x).softmax(1)
            logits = self(x)
            return cross_entropy(logits, y) + mse_loss(logits.softmax(1), expected)

    return Module()


def copies_itself_in_the_step(package: Any) -> Any:
    """A teacher that is the student as it is now."""

    class Module(base(package)):
        def training_step(self, batch, batch_idx):
            x, y = batch
            logits = self(x)
            with torch.no_grad():
                expected = copy.deepcopy(self.net)(0.9 * x).softmax(1)
            return cross_entropy(logits, y) + mse_loss(logits.softmax(1), expected)

    return Module()


def keeps_counters_and_lists(package: Any) -> Any:
    class Module(base(package)):
        def __init__(self):
            super().__init__()
            self.seen, self.losses, self.register = 0, [], {}
            self.outputs, self.recent, self.total = {"loss": [], "x": []}, deque(maxlen=4), torch.zeros(())
            self.register_buffer("count", torch.zeros(()))

        def loss(self, batch):
            x, y = batch
            self.seen += len(x)
            self.count += len(x)
            self.register[self.seen] = len(self.losses)
            loss = cross_entropy(self(x), y) * (1 + 0.01 * self.seen)
            self.losses.append(loss.detach())
            self.outputs["loss"].append(loss.detach())
            self.recent.append(len(x))
            self.total += x.mean()
            self.last = {"x": x.detach()}
            self.log("total", self.total, on_step=True, on_epoch=False)
            self.log("outputs", float(len(self.outputs["loss"]) + sum(self.recent)), on_step=True, on_epoch=False)
            return loss

        def on_train_epoch_end(self):
            assert self.seen == int(self.count)
            assert list(self.register.values()) == list(range(len(self.losses)))

    return Module()


def metrics_beside_raw_parameters(package: Any) -> Any:
    """Nobody but the loss knows the logits, so that the whole step runs again."""

    class Module(base(package)):
        def __init__(self):
            super().__init__()
            del self.net
            self.weight, self.accuracy = nn.Parameter(torch.randn(64, CLASSES) / 8), MulticlassAccuracy(CLASSES)

        def validation_step(self, batch, batch_idx):
            x, y = batch
            logits = x.flatten(1) @ self.weight
            self.accuracy.update(logits, y)
            self.log("val/accuracy", self.accuracy)
            self.log("val/loss", cross_entropy(logits, y))

        def loss(self, batch):
            x, y = batch
            return cross_entropy(x.flatten(1) @ self.weight, y)

    return Module()


def metrics_in_the_module(package: Any) -> Any:
    class Module(base(package)):
        def __init__(self):
            super().__init__(convolutional())
            self.accuracy = MulticlassAccuracy(CLASSES)

        def _shared_step(self, batch, stage):
            x, y = batch
            logits = self(x)
            self.accuracy(logits, y)
            self.log(f"{stage}/accuracy", self.accuracy, on_step=False, on_epoch=True)
            return {"loss": cross_entropy(logits, y), "logits": logits, "y": y}

        def training_step(self, batch, batch_idx):
            return self._shared_step(batch, "train")

        def validation_step(self, batch, batch_idx):
            return self._shared_step(batch, "val")

        def on_train_batch_end(self, outputs, batch, batch_idx):
            assert not outputs["loss"].isnan()

    return Module()


def manual_optimization(package: Any) -> Any:
    class Module(base(package)):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch, batch_idx):
            optimizer = self.optimizers()
            loss = self.loss(batch)
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()

    return Module()


def adversarial_examples(package: Any) -> Any:
    """FGSM: the step differentiates in the batch itself."""

    class Module(base(package)):
        def training_step(self, batch, batch_idx):
            x, y = batch
            start = x.clone().detach().requires_grad_()
            (gradient,) = torch.autograd.grad(cross_entropy(self(start), y), start)
            return cross_entropy(self(x + 0.1 * gradient.sign()), y)

    return Module()


def regularised_by_hand(package: Any) -> Any:
    """Weight decay and a term of the activations beside the loss."""

    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            logits = self(x)
            decay = sum(one.square().sum() for one in self.parameters())
            self.log("decay", decay)
            return cross_entropy(logits, y) + 1e-4 * decay + 1e-3 * logits.square().mean()

    return Module()


def test_time_augmentation(package: Any) -> Any:
    class Module(base(package)):
        def validation_step(self, batch, batch_idx):
            x, y = batch
            self.log("val/loss", cross_entropy((self(x) + self(x.flip(3))) / 2, y))

    return Module()


def validation_without_a_loss(package: Any) -> Any:
    class Module(base(package)):
        def __init__(self):
            super().__init__()
            self.accuracy, self.outputs = MulticlassAccuracy(CLASSES), []

        def validation_step(self, batch, batch_idx):
            x, y = batch
            predicted = self(x).argmax(1)
            self.outputs.append(predicted)
            self.accuracy.update(predicted, y)

        def on_validation_epoch_end(self):
            self.log("val/accuracy", self.accuracy.compute())
            assert len(torch.cat(self.outputs)) % 24 in (0, 8, 16)
            self.outputs.clear()
            self.accuracy.reset()

    return Module()


def same_step_for_validation(package: Any) -> Any:
    class Module(base(package)):
        def validation_step(self, batch, batch_idx):
            self.log("val/loss", self.training_step(batch, batch_idx))

    return Module()


def _net(module: Any, x: Any, _: Any) -> Any:
    return module.net(x)


def _views(module: Any, x: Any, _: Any) -> Any:
    return module.net(x.flip(3) * 0.9) if module.training else module.net(x)


def _both(module: Any, x: Any, _: Any) -> Any:
    return (module.net(x) + module.net(x)) / 2


def _attacked(module: Any, x: Any, batch: Any) -> Any:
    if not module.training:
        return module.net(x)
    start = x.clone().detach().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(module.net(start), batch[1]), start)
    return module.net(x + 0.1 * gradient.sign())


def _flipped(module: Any, x: Any, _: Any) -> Any:
    return module.net(x) if module.training else (module.net(x) + module.net(x.flip(3))) / 2


PATTERNS = [
    Pattern(generative_adversarial, pairs(), _net, link="sigmoid", reliance=False),
    Pattern(r_drop, pairs(), _both),
    Pattern(two_views, pairs(), _views),
    Pattern(teacher_updated_in_the_step, pairs(), _net),
    Pattern(copies_itself_in_the_step, pairs(), _net),
    Pattern(keeps_counters_and_lists, pairs(), _net),
    Pattern(metrics_beside_raw_parameters, pairs(), lambda m, x, _: x.flatten(1) @ m.weight),
    Pattern(metrics_in_the_module, pairs(), _net),
    Pattern(manual_optimization, pairs(), _net),
    Pattern(adversarial_examples, pairs(), _attacked),
    Pattern(regularised_by_hand, pairs(), _net),
    Pattern(test_time_augmentation, pairs(2.0), _flipped),
    Pattern(validation_without_a_loss, pairs(), _net),
    Pattern(same_step_for_validation, pairs(), _net),
]
