"""Networks of ``timm`` and ``transformers``, with pretrained weights if they are available."""

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

LIBRARIES = ("timm", "transformers")
#: ImageNet's mean and standard deviation, with which most networks were trained.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """A network for images in [0, 1], which it standardises as its backbone expects.

    Args:
        net: The backbone; it returns logits, or an output with an attribute ``logits``.
        mean: The mean of each channel.
        deviation: The standard deviation of each channel.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, net: nn.Module, mean: Any, deviation: Any) -> None:
        super().__init__()
        self.net = net.train()  # transformers returns models in eval mode
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        output = self.net((images - self.mean) / self.deviation)
        logits: Tensor = getattr(output, "logits", output)
        return logits


def load(library: str, name: str, classes: int, pretrained: bool = True) -> Backbone:
    """A classifier of ``timm`` or ``transformers`` with a new head.

    Args:
        library: ``timm`` or ``transformers``.
        name: The network's name there, such as ``resnet50`` in timm; for transformers also a folder.
        classes: The number of classes.
        pretrained: Whether to load weights; otherwise only the network's configuration is needed.

    Raises:
        ValueError: The library is not installed, or cannot load the network (an unknown name, no internet access).
    """
    if find_spec(library) is None:
        raise ValueError(f"model.name={library}/{name} needs {library}: pip install {library}.")
    try:
        return (_of_timm if library == "timm" else _of_transformers)(name, classes, pretrained)
    except (OSError, RuntimeError, ImportError, ValueError) as error:
        raise ValueError(f"{library} cannot load {name!r}: {error}") from error


def _of_timm(name: str, classes: int, pretrained: bool) -> Backbone:
    import timm

    net = timm.create_model(name, pretrained=pretrained, num_classes=classes)
    return Backbone(net, net.pretrained_cfg["mean"], net.pretrained_cfg["std"])


def _of_transformers(name: str, classes: int, pretrained: bool) -> Backbone:
    from transformers import AutoConfig, AutoModelForImageClassification
    from transformers.image_processing_base import ImageProcessingMixin

    if pretrained:
        net = AutoModelForImageClassification.from_pretrained(name, num_labels=classes, ignore_mismatched_sizes=True)
    else:
        net = AutoModelForImageClassification.from_config(  # type: ignore[no-untyped-call]
            AutoConfig.from_pretrained(name, num_labels=classes)
        )
    try:
        expected, _ = ImageProcessingMixin.get_image_processor_dict(name)
    except OSError:  # the configuration does not describe the images
        expected = {}
    return Backbone(net, expected.get("image_mean", _MEAN), expected.get("image_std", _DEVIATION))
