"""Looks up parts of a model: layers by name, trained parameters, and modules that ``named_modules()`` does not find."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from salreg.names import nearest
from salreg.random_state import cuda_devices

Layer = str | nn.Module

#: In place of a layer's name: the model's last convolution.
LAST_CONV = "last_conv"
#: In place of a layer's name: the attention weights of all layers, see ``Recording.attention``.
ATTENTION = "attention_weights"


def find_layer(model: nn.Module, layer: Layer) -> nn.Module:
    """The layer of that name; a ``ValueError`` suggests the nearest names."""
    if isinstance(layer, nn.Module):
        return layer
    modules = dict(model.named_modules())
    if layer == LAST_CONV and layer not in modules:
        return _last_conv(model)
    if layer not in modules:
        raise ValueError(f"{type(model).__name__} has no layer {layer!r}{nearest(layer, modules)}.")
    return modules[layer]


def check_layers(model: nn.Module, layers: Sequence[Layer]) -> None:
    """Raise a ``ValueError`` that names the first of these taps that the model does not have."""
    for layer in layers:
        if layer != ATTENTION:
            find_layer(model, layer)


def name_of(model: nn.Module, module: nn.Module | None) -> str:
    """A module's name in the model, or that of its class if it has none."""
    names = {id(one): name for name, one in model.named_modules()}
    return names.get(id(module)) or type(module).__name__


def trained_parameters(model: nn.Module) -> list[Tensor]:
    """All parameters that are trained."""
    found = [parameter for module in all_modules(model) for parameter in module.parameters(recurse=False)]
    return [one for one in {id(parameter): parameter for parameter in found}.values() if one.requires_grad]


def all_modules(model: nn.Module) -> list[nn.Module]:
    """All modules of a model, also those that it keeps in plain containers."""
    return list({id(m): m for root in (model, *_hidden_modules(model)) for m in root.modules()}.values())


@contextmanager
def traceless(model: nn.Module) -> Iterator[None]:
    """Keep buffers (BatchNorm's statistics) and the random state unchanged by extra forward passes inside the block.

    The buffers are exchanged for copies instead of being restored in place: a graph of the training may have saved them.
    """
    owned = [(module, name, buffer) for module in all_modules(model) for name, buffer in module._buffers.items()]
    for module, name, buffer in owned:
        module._buffers[name] = None if buffer is None else buffer.clone()
    try:
        with torch.random.fork_rng(devices=cuda_devices(model)):
            yield
    finally:
        for module, name, buffer in owned:
            module._buffers[name] = buffer


def _last_conv(model: nn.Module) -> nn.Module:
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    if not convolutions:
        raise ValueError(f"{type(model).__name__} has no convolution to read saliency at; name a layer with layer='...'.")
    return convolutions[-1]


def _hidden_modules(model: nn.Module) -> list[nn.Module]:
    """Modules that the model keeps in plain lists, tuples or dicts, where named_modules() does not find them."""
    containers = [value for value in vars(model).values() if type(value) in (list, tuple, dict)]
    values = [v for c in containers for v in (c.values() if isinstance(c, dict) else c)]
    return [value for value in values if isinstance(value, nn.Module)]
