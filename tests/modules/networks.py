"""Networks of many kinds, and the ways in which steps call them."""

from typing import Any

import torch
from modules.pattern import CLASSES, Data, Pattern, base, of, pairs, perceptron
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import ViTConfig, ViTForImageClassification

from salreg.attributions import InputGradient
from salreg.scores import Dense


class Halves(nn.Module):
    """What timm's models are made of: features, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Tanh())
        self.head = nn.Linear(8, CLASSES)

    def forward_features(self, x):
        return self.body(x)

    def forward_head(self, x):
        return self.head(x)

    def forward(self, x):
        return self.forward_head(self.forward_features(x))


def head_of_features(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self.net.head(self.net.body(x)), y)

    return Module(Halves())


def timm_features(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            features = self.net.forward_features(x)
            return cross_entropy(self.net.forward_head(features), y)

    return Module(Halves())


def frozen_backbone(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self.net.head(self.net.body(x)), y)

    module = Module(Halves())
    module.net.body.requires_grad_(False)
    return module


def backbone_without_gradients(package: Any) -> Any:
    """Lightning's tutorial on transfer learning."""

    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            with torch.no_grad():
                features = self.net.body(x)
            return cross_entropy(self.net.head(features), y)

    return Module(Halves())


def backbone_finetuning(package: Any) -> Any:
    class Module(base(package)):
        def __init__(self):
            super().__init__(Halves())
            self.backbone, self.head = self.net.body, self.net.head
            del self.net

        def loss(self, batch):
            x, y = batch
            return cross_entropy(self.head(self.backbone(x)), y)

    return Module()


def _finetuning(package: Any) -> list[Any]:
    return [package.callbacks.BackboneFinetuning(unfreeze_backbone_at_epoch=5)]


def raw_parameters(package: Any) -> Any:
    class Module(base(package)):
        def __init__(self):
            super().__init__()
            del self.net
            self.weight, self.bias = nn.Parameter(torch.randn(64, CLASSES) / 8), nn.Parameter(torch.zeros(CLASSES))

        def loss(self, batch):
            x, y = batch
            return cross_entropy(x.flatten(1) @ self.weight + self.bias, y)

    return Module()


def hugging_face_vit(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            return self.net(**batch).loss

    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=8, patch_size=4,
        num_channels=1, num_labels=CLASSES, attn_implementation="eager", hidden_dropout_prob=0.1,
    )  # fmt: skip
    return Module(ViTForImageClassification(config))


def auxiliary_head(package: Any) -> Any:
    """Inception and GoogLeNet return two outputs while they train."""

    class Inception(Halves):
        def __init__(self):
            super().__init__()
            self.aux = nn.Linear(8, CLASSES)

        def forward(self, x):
            features = self.body(x)
            return (self.head(features), self.aux(features)) if self.training else self.head(features)

    class Module(base(package)):
        def training_step(self, batch, batch_idx):
            x, y = batch
            logits, aux = self.net(x)
            return cross_entropy(logits, y) + 0.3 * cross_entropy(aux, y)

    return Module(Inception())


def two_heads(package: Any) -> Any:
    """Several tasks on one backbone."""

    class Module(base(package)):
        def __init__(self):
            super().__init__(Halves())
            self.second = nn.Linear(8, 2)

        def loss(self, batch):
            x, y = batch
            features = self.net.body(x)
            return cross_entropy(self.net.head(features), y) + cross_entropy(self.second(features), y % 2)

    return Module()


def ensemble(package: Any) -> Any:
    class Module(base(package)):
        def __init__(self):
            super().__init__()
            self.nets = nn.ModuleList([perceptron(), perceptron()])
            del self.net

        def loss(self, batch):
            x, y = batch
            return cross_entropy(torch.stack([net(x) for net in self.nets]).mean(0), y)

    return Module()


def temperature(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self(x) / 2.0, y)

    return Module()


def checkpointed(package: Any) -> Any:
    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            features = torch.utils.checkpoint.checkpoint(self.net.body, x, use_reentrant=False)
            return cross_entropy(self.net.head(features), y)

    return Module(Halves())


def network_of_image_and_label(package: Any) -> Any:
    """ArcFace: the head needs the labels for its margin."""

    class Margin(Halves):
        def forward(self, x, y):
            return self.head(self.body(x)) - 0.5 * nn.functional.one_hot(y, CLASSES)

    class Module(base(package)):
        def loss(self, batch):
            x, y = batch
            return cross_entropy(self.net(x, y), y)

    return Module(Margin())


def loss_in_the_network(package: Any) -> Any:
    class WithLoss(Halves):
        def forward(self, x, y):
            return cross_entropy(self.head(self.body(x)), y)

    class Module(base(package)):
        def loss(self, batch):
            return self.net(*batch)

    return Module(WithLoss())


def monai_unet(package: Any) -> Any:
    """Segmentation of a dictionary batch, with a Dice and cross-entropy loss."""

    class Module(base(package)):
        def loss(self, batch):
            logits, mask = self(batch["image"]), batch["label"].squeeze(1)
            hot = nn.functional.one_hot(mask, 2).movedim(-1, 1)
            overlap = (logits.softmax(1) * hot).sum((2, 3)) / (logits.softmax(1) + hot).sum((2, 3))
            return cross_entropy(logits, mask) + 1 - 2 * overlap.mean()

    return Module(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 2, 1)))


def _masks() -> Data:
    return of(lambda x, y: {"image": x, "label": (x > 0.5).long()})


def monai_classification(package: Any) -> Any:
    class Module(base(package)):
        def __init__(self):
            super().__init__()
            self.loss_function = nn.CrossEntropyLoss()

        def loss(self, batch):
            inputs, labels = batch["image"], batch["label"]
            return self.loss_function(self.forward(inputs), labels)

    return Module()


def multiple_instances(package: Any) -> Any:
    """Ilse et al.'s attention over the instances of a bag."""

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Sequential(nn.Linear(6, 8), nn.Tanh())
            self.weigh, self.classify = nn.Linear(8, 1), nn.Linear(8, 1)

        def forward(self, bag):
            instances = self.embed(bag)
            weights = self.weigh(instances).softmax(1)
            pooled = (weights * instances).sum(1)
            probability = torch.sigmoid(self.classify(pooled))
            return probability, weights

    class Module(base(package)):
        def loss(self, batch):
            bag, y = batch
            probability, _ = self.net(bag)
            probability = probability.clamp(1e-5, 1 - 1e-5).squeeze(1)
            return -(y * probability.log() + (1 - y) * (1 - probability).log()).mean()

    return Module(Attention())


def _bags() -> Data:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(24) % 2
    bags = torch.randn(24, 5, 6, generator=generator)
    bags[:, :, 0] += 4.0 * (2 * y.view(-1, 1) - 1)
    annotations = torch.zeros(24, 5, 6, dtype=torch.int8)
    annotations[:, :, 0] = -1
    annotations[::3] = 0
    return Data(list(zip(bags, y.float(), strict=True)), annotations)


def _bag_logits(module: Any, bag: Any, _: Any) -> Any:
    instances = module.net.embed(bag)
    return module.net.classify((module.net.weigh(instances).softmax(1) * instances).sum(1))


def _pooled(package: Any, net: nn.Module, seen: Any) -> Any:
    class Module(base(package)):
        def seen(self, x):
            return seen(self.net, x)

        def loss(self, batch):
            x, y = batch
            return cross_entropy(self.seen(x), y)

    return Module(net)


def patches_pooled_in_the_step(package: Any) -> Any:
    """A network of a bag's instances, whose logits the step averages."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, CLASSES))

    def seen(net, x):
        return net(x.unfold(2, 4, 4).unfold(3, 4, 4).reshape(-1, 16)).unflatten(0, (len(x), 4)).mean(1)

    return _pooled(package, net, seen)


def points_pooled_in_the_step(package: Any) -> Any:
    """A network of a cloud's points, of which the step takes the largest logits."""
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, CLASSES))
    return _pooled(package, net, lambda net, x: net(x.reshape(len(x), 32, 2)).amax(1))


def siamese(package: Any) -> Any:
    """Two images, one of which is annotated."""

    class Module(base(package)):
        def loss(self, batch):
            left, right, y = batch
            return cross_entropy(self.head((self.net.body(left) - self.net.body(right)).abs()), y)

        def __init__(self):
            super().__init__(Halves())
            self.head = nn.Linear(8, CLASSES)

    return Module()


def _with_default(module: Any, x: Any, _: Any) -> Any:
    return module.net(x)


def _halves(module: Any, x: Any, _: Any) -> Any:
    return module.net.head(module.net.body(x))


_dicts = of(lambda x, y: {"image": x, "label": y})


PATTERNS = [
    Pattern(head_of_features, pairs(), _halves),
    Pattern(timm_features, pairs(), _halves),
    Pattern(frozen_backbone, pairs(), _halves),
    Pattern(
        backbone_without_gradients,
        pairs(),
        refused="no_grad",
        remedy={"make": frozen_backbone, "sees": _halves},
        unmeasured="no_grad",
    ),
    Pattern(backbone_finetuning, pairs(), lambda m, x, _: m.head(m.backbone(x)), callbacks=_finetuning),
    Pattern(raw_parameters, pairs(), lambda m, x, _: x.flatten(1) @ m.weight + m.bias),
    Pattern(
        hugging_face_vit,
        of(lambda x, y: {"pixel_values": x, "labels": y}),
        lambda m, x, batch: m.net(pixel_values=x, labels=batch["labels"]).logits,
        input=lambda _, batch: batch["pixel_values"],
        reliance=False,
    ),
    Pattern(
        auxiliary_head,
        pairs(),
        refused="candidates for the logits",
        remedy={"options": {"forward_module": "net.head"}, "sees": _halves},
    ),
    Pattern(
        two_heads,
        pairs(),
        refused="candidates for the logits",
        remedy={"options": {"forward_module": "net.head"}, "sees": _halves},
        unmeasured="candidates for the logits",
    ),
    Pattern(ensemble, pairs(), lambda m, x, _: torch.stack([net(x) for net in m.nets]).mean(0)),
    Pattern(temperature, pairs(), _with_default),
    Pattern(checkpointed, pairs(), _halves),
    Pattern(
        network_of_image_and_label,
        pairs(),
        lambda m, x, batch: m.net(x, batch[1]),
    ),
    Pattern(loss_in_the_network, pairs(), _halves),
    Pattern(
        monai_unet,
        _masks(),
        refused="score=Dense",
        remedy={
            "regularizer": {"attribution": InputGradient(Dense("log_prob_sum"))},
            "sees": lambda m, x, _: m.net(x),
        },
        unmeasured="Dense",
        input=lambda _, batch: batch["image"],
    ),
    Pattern(monai_classification, _dicts, _with_default, input=lambda _, batch: batch["image"]),
    Pattern(multiple_instances, _bags(), _bag_logits, link="sigmoid"),
    Pattern(patches_pooled_in_the_step, pairs(), lambda m, x, _: m.seen(x)),
    Pattern(points_pooled_in_the_step, pairs(), lambda m, x, _: m.seen(x)),
    Pattern(
        siamese,
        of(lambda x, y: (x, x.flip(2), y)),
        lambda m, x, batch: m.head((m.net.body(x) - m.net.body(batch[1])).abs()),
    ),
]
