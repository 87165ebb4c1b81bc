"""What contextual decomposition does with each kind of layer, function and method."""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from salreg.attributions.decomposition_lstm import lstm
from salreg.attributions.decomposition_pair import Pair, apart, shared


def _affine(function: Callable[[Tensor], Tensor], bias: Tensor, pair: Pair) -> Pair:
    """A linear function with a constant, which is split in proportion to the parts' absolute values."""
    region, rest = apart(function, pair)
    share = region.abs() / (region.abs() + rest.abs()).clamp(min=torch.finfo(region.dtype).tiny)
    # Where nothing comes in at all the constant belongs to the rest.
    return Pair(region + share * bias, rest + (1 - share) * bias)


def _linear(layer: Any, pair: Pair) -> Pair:
    return _with_bias(layer, layer.bias, 0 if isinstance(layer, nn.Linear) else pair.region.ndim - 2, pair)


def _with_bias(function: Callable[[Tensor], Tensor], bias: Tensor | None, axes_behind: int, pair: Pair) -> Pair:
    """A function that adds a bias along the axis in front of so many others."""
    if bias is None:
        return apart(function, pair)
    bias = bias.view(-1, *[1] * axes_behind)
    return _affine(lambda part: function(part) - bias, bias, pair)


def _batch_norm(layer: Any, pair: Pair) -> Pair:
    if layer.running_mean is None:
        raise NotImplementedError("Contextual decomposition needs BatchNorm's running statistics (track_running_stats=True).")
    shape = (1, -1, *[1] * (pair.region.ndim - 2))
    scale = (layer.running_var + layer.eps).rsqrt() * (1 if layer.weight is None else layer.weight)
    bias = (0 if layer.bias is None else layer.bias) - layer.running_mean * scale
    return _affine(lambda part: part * scale.view(shape), bias.view(shape), pair)


def _relu(pair: Pair) -> Pair:
    region = functional.relu(pair.region)
    return Pair(region, functional.relu(pair.region + pair.rest) - region)


def _max_pool(pool: Callable[[Tensor], tuple[Tensor, Tensor]], pair: Pair) -> Pair:
    """Both parts from where their sum is largest."""
    _, places = pool(pair.region + pair.rest)
    picked = [part.flatten(2).gather(2, places.flatten(2)).view_as(places) for part in pair]
    return Pair(*picked)


def _max_pool_layer(layer: Any, pair: Pair) -> Pair:
    function = getattr(functional, f"max_pool{_dimensions(layer)}d")
    options = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode)
    return _max_pool(lambda value: function(value, *options, return_indices=True), pair)


def _adaptive_max_pool_layer(layer: Any, pair: Pair) -> Pair:
    function = getattr(functional, f"adaptive_max_pool{_dimensions(layer)}d")
    return _max_pool(lambda value: function(value, layer.output_size, return_indices=True), pair)


def _dimensions(layer: nn.Module) -> str:
    return type(layer).__name__[-2]


def _by_itself(layer: nn.Module, pair: Pair) -> Pair:
    return apart(layer, pair)


_ACTIVATIONS: dict[type[nn.Module], Callable[[Pair], Pair]] = {
    nn.ReLU: _relu,
    nn.Tanh: shared(torch.tanh),
    nn.GELU: shared(functional.gelu),
    nn.SiLU: shared(functional.silu),
}

LAYERS: dict[type[nn.Module], Callable[[Any, Any], Any]] = {
    nn.Linear: _linear,
    nn.Conv1d: _linear,
    nn.Conv2d: _linear,
    nn.Conv3d: _linear,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.BatchNorm3d: _batch_norm,
    **{kind: lambda _, pair, rule=rule: rule(pair) for kind, rule in _ACTIVATIONS.items()},  # type: ignore[misc]
    **dict.fromkeys((nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), _max_pool_layer),
    **dict.fromkeys((nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d), _adaptive_max_pool_layer),
    **dict.fromkeys((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), _by_itself),
    **dict.fromkeys((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), _by_itself),
    **dict.fromkeys((nn.Flatten, nn.Unflatten, nn.Identity), _by_itself),
    **{kind: lambda _, pair: pair for kind in (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)},
    nn.LSTM: lstm,
}

_FUNCTIONS: dict[Any, Callable[[Pair], Pair]] = {
    torch.relu: _relu,
    functional.relu: _relu,
    torch.tanh: shared(torch.tanh),
    functional.gelu: shared(functional.gelu),
    functional.silu: shared(functional.silu),
    functional.dropout: lambda pair: pair,
}
_AFFINE_FUNCTIONS = (functional.linear, functional.conv1d, functional.conv2d, functional.conv3d)
_MAX_POOLS = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
_LINEAR_FUNCTIONS = (
    torch.flatten, torch.mean, torch.sum, torch.reshape, torch.squeeze, torch.unsqueeze, torch.transpose, torch.permute,
    functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d,
    functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d,
)  # fmt: skip
_LINEAR_METHODS = (
    "view", "reshape", "flatten", "mean", "sum", "squeeze", "unsqueeze", "transpose", "permute", "contiguous", "unflatten",
)  # fmt: skip
_ACTIVATION_METHODS = {"relu": _relu, "tanh": shared(torch.tanh)}
_SHAPE_METHODS = ("size", "dim")


def function(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    first, others = args[0], args[1:]
    if function in _FUNCTIONS:
        return _FUNCTIONS[function](first)
    if function in _LINEAR_FUNCTIONS:
        return apart(lambda part: function(part, *others, **kwargs), first)
    if function is getattr:
        return getattr(first.region, others[0])
    if function is operator.getitem:
        # Of a tensor, the same entries of both parts; of an LSTM's output, its sequence or its state.
        return apart(lambda part: part[others[0]], first) if isinstance(first, Pair) else first[others[0]]
    if function in _AFFINE_FUNCTIONS:
        bias = others[1] if len(others) > 1 else kwargs.get("bias")
        behind = 0 if function is functional.linear else first.region.ndim - 2
        return _with_bias(lambda part: function(part, *others, **kwargs), bias, behind, first)
    if function in (operator.add, torch.add) and not kwargs:
        return Pair(*(one + other for one, other in zip(*map(_as_pair, args), strict=True)))
    if function in (operator.mul, torch.mul) and sum(isinstance(arg, Pair) for arg in args) == 1:
        pair, factor = args if isinstance(first, Pair) else args[::-1]
        return apart(lambda part: part * factor, pair)
    if function in (operator.truediv, torch.div) and not isinstance(others[0], Pair) and not kwargs:
        return apart(lambda part: part / others[0], first)
    if function in _MAX_POOLS:
        dimensions = first.region.ndim - 2
        pool = getattr(functional, f"max_pool{dimensions}d")
        options = {key: value for key, value in kwargs.items() if key != "return_indices"}
        return _max_pool(lambda value: pool(value, *others, **options, return_indices=True), first)
    name = getattr(function, "__name__", str(function))
    raise NotImplementedError(f"Contextual decomposition has no rule for the function {name!r}.")


def method(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if name in _SHAPE_METHODS:
        return getattr(args[0].region, name)(*args[1:], **kwargs)
    if name in _ACTIVATION_METHODS:
        return _ACTIVATION_METHODS[name](args[0])
    if name in _LINEAR_METHODS:
        return apart(lambda part: getattr(part, name)(*args[1:], **kwargs), args[0])
    raise NotImplementedError(f"Contextual decomposition has no rule for the method Tensor.{name}.")


def _as_pair(value: Any) -> Pair:
    """A constant belongs to the rest."""
    return value if isinstance(value, Pair) else Pair(value * 0, value)
