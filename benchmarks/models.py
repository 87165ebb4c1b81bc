"""Models of the usual kinds, small enough for a CPU, with a batch each."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from salreg.recipes.experiments.decoy import build_model
from salreg.recipes.networks.image_networks import SmallViT
from salreg.recipes.networks.text_networks import LSTMReader


@dataclass
class Batch:
    """Inputs, classes, and annotations: the first eighth of each side, or of the words, is spurious."""

    x: Tensor
    y: Tensor
    annotation: Tensor

    def annotated(self, share: float) -> "Batch":
        """The same batch with that share of its samples annotated."""
        annotation = self.annotation.clone()
        annotation[max(1, round(share * len(annotation))) :] = 0
        return Batch(self.x, self.y, annotation)

    def to(self, device: str) -> "Batch":
        return Batch(self.x.to(device), self.y.to(device), self.annotation.to(device))


@dataclass
class Case:
    """A model and its batch."""

    model: Callable[[], nn.Module]
    batch: Callable[[], Batch]


class BasicBlock(nn.Module):
    """ResNet-18's: two convolutions with BatchNorm beside a shortcut."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip
        same = channels == out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(nn.Conv2d(channels, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        return (self.inner(x) + self.shortcut(x)).relu()


def resnet(width: int = 16, blocks: int = 2) -> nn.Sequential:
    """Four stages of ``blocks`` blocks, as ResNet-18 has them."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    channels = width
    for stage in range(4):
        for block in range(blocks):
            out = width * 2**stage
            layers.append(BasicBlock(channels, out, 2 if stage and not block else 1))
            channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def images(size: int, channels: int = 3, side: int = 32) -> Batch:
    annotation = torch.zeros(size, 1, side, side, dtype=torch.int8)
    annotation[..., : side // 8, : side // 8] = -1
    return Batch(torch.rand(size, channels, side, side), torch.randint(0, 10, (size,)), annotation)


def texts(size: int, length: int = 64, words: int = 1000) -> Batch:
    annotation = torch.zeros(size, length, dtype=torch.int8)
    annotation[:, : length // 8] = -1
    return Batch(torch.randint(1, words, (size, length)), torch.randint(0, 2, (size,)), annotation)


def of_transformers(name: str) -> nn.Module:
    """ResNet-50 or ViT-B/16: transformers' default configurations."""
    import transformers

    if name == "resnet50":
        made = transformers.ResNetForImageClassification(transformers.ResNetConfig(num_labels=10))
    else:
        made = transformers.ViTForImageClassification(transformers.ViTConfig(num_labels=10))
    assert isinstance(made, nn.Module)
    return made


CASES = {
    "mlp": Case(lambda: build_model("mlp"), lambda: images(256, 1, 28)),
    "cnn": Case(lambda: build_model("cnn"), lambda: images(128, 1, 28)),
    "resnet": Case(resnet, lambda: images(32)),
    "vit": Case(lambda: SmallViT(10, 32, size=128, layers=6), lambda: images(32)),
    "lstm": Case(lambda: LSTMReader(1000, dropout=0.0), lambda: texts(32)),
}


def language_model(size: int = 128, layers: int = 4, words: int = 1000) -> nn.Module:
    """GPT-2 of a given size, without dropout, from a configuration."""
    import transformers

    still = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    sizes = {"n_embd": size, "n_layer": layers, "n_head": max(1, size // 32), "vocab_size": words, "n_positions": 128}
    config = transformers.GPT2Config(bos_token_id=0, eos_token_id=0, **sizes, **still)  # type: ignore[arg-type]
    made = transformers.GPT2LMHeadModel(config)
    assert isinstance(made, nn.Module)
    return made


def instructions(size: int, length: int = 64, words: int = 1000) -> Batch:
    """Prompts of which the last quarter is the answer; each place has the label of the next one, -100 outside of it."""
    batch = texts(size, length, words)
    labels = batch.x.roll(-1, 1)
    labels[:, : length - length // 4 - 1] = -100
    labels[:, -1] = -100
    return Batch(batch.x, labels, batch.annotation)


#: Width, layers, words and samples a batch of language models, by their number of parameters.
LANGUAGE_MODELS = {"tiny": (128, 4, 1000, 16), "100m": (768, 12, 50257, 4), "1b": (2048, 24, 50257, 4)}

#: For a GPU.
LARGE = {
    "resnet50": Case(lambda: of_transformers("resnet50"), lambda: images(64, side=224)),
    "vit-b": Case(lambda: of_transformers("vit-b"), lambda: images(64, side=224)),
}
