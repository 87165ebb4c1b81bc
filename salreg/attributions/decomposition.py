"""Contextual decomposition: what a region of the input contributes to every logit, and what all the rest does."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from salreg import scores
from salreg.attributions.base import Attribution
from salreg.attributions.perturbation import feature_groups, spread
from salreg.scores import Score
from salreg.taps import Recording


class Pair(NamedTuple):
    """A tensor in two parts: what the region contributed, and the rest. Their sum is the network's own value."""

    region: Tensor
    rest: Tensor


class ContextualDecomposition(Attribution):
    r"""The logit's part that comes from a group of features (Murdoch et al. 2018; Singh et al. 2019, as CDEP uses it).

    .. math:: M_i = \beta_c(x_{G(i)}), \qquad f_c(x) = \beta_c(x_G) + \gamma_c(x_G)

    The network is traced with ``torch.fx`` and passed through layer by layer in two parts. Rules: Linear, convolutions and
    BatchNorm
    (with its running statistics) split their bias in proportion to the parts' absolute values; ReLU gives the region ReLU(beta)
    and the rest what remains (CDEP); Tanh, GELU and SiLU share what they do to the two evenly (both Shapley orders); maximum
    pooling takes
    both parts where their sum is largest; averages, reshapes and sums take each part by itself; Dropout is passed over;
    LSTMs by Murdoch
    et al.'s rules for their gates. Any other operator is an error that names it.

    Costs one decomposed pass per group. Trainable to first order.

    Args:
        groups: The group of each feature, integers, laid out like one sample or broadcasting to it. By default each feature
        of a table,
            or each token, is its own group.
        score: What is explained, computed from the region's part of the logits.

    Returns when called:
        A tensor in the input's own shape, any sign, in score units.

    Raises:
        ValueError: Groups that do not fit, or images without groups.
        NotImplementedError: An operator without a rule, by name; or a network that fx cannot trace.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> x, y = torch.rand(1, 3), torch.tensor([0])
        >>> ContextualDecomposition()(model, x, y).shape
        torch.Size([1, 3])
    """

    def __init__(self, groups: Tensor | None = None, score: str | Score = "target_logit") -> None:
        super().__init__(score)
        self.groups = groups

    def explain(
        self, recording: Recording, target: Tensor | None = None, *, create_graph: bool = False, scale: Any = None
    ) -> Tensor:
        given = recording.tensor_given()
        assert given is not None
        parts = feature_groups(given[0], self.groups)
        with torch.set_grad_enabled(create_graph):
            values = [
                scores.evaluate(self.score, decompose(recording, part.expand_as(given)).region, target)
                for part in parts.to(given.device)
            ]
        return spread(torch.stack(values), parts)


def decompose(recording: Recording, region: Tensor) -> Pair:
    """The logits of a recorded forward pass in two parts.

    Args:
        recording: Of a pass through a network that fx can trace.
        region: In [0, 1], laid out like the input ``(B, ...)`` (one channel is enough) or, for token numbers, like those
        ``(B, T)``.

    Returns:
        Both parts ``(B, C)``; their sum is the logits of the network with its Dropout off and its BatchNorm in eval mode.

    Raises:
        NotImplementedError: An operator without a rule, by name; or a network that fx cannot trace.
    """
    module = recording.module
    assert module is not None
    if len(recording.args) + len(recording.kwargs) != 1:
        raise NotImplementedError("Contextual decomposition needs a network that takes one tensor.")
    given = recording.tensor_given()
    logits = _Decomposition(module, region).run(given)
    if not isinstance(logits, Pair):
        raise NotImplementedError(f"{type(module).__name__}'s output does not depend on its input, or is not a tensor.")
    return logits


_graphs: "WeakKeyDictionary[nn.Module, fx.Graph]" = WeakKeyDictionary()


def _traced(module: nn.Module) -> fx.Graph:
    if module not in _graphs:
        try:
            _graphs[module] = fx.Tracer().trace(module)
        except Exception as error:
            raise NotImplementedError(
                f"torch.fx cannot trace {type(module).__name__}, which contextual decomposition needs: {error}"
            ) from error
    return _graphs[module]


class _Decomposition:
    """Runs a traced module on pairs."""

    def __init__(self, module: nn.Module, region: Tensor) -> None:
        self.module, self.region = module, region
        self.values: dict[fx.Node, Any] = {}

    def run(self, given: Any) -> Any:
        for node in _traced(self.module).nodes:
            self.values[node] = self._value(node, given)
            if node.op == "output":
                return self.values[node]
        raise AssertionError("every graph has an output")

    def _value(self, node: fx.Node, given: Any) -> Any:
        if node.op == "placeholder":
            return self._split(given) if given.is_floating_point() else given
        if node.op == "get_attr":
            return operator.attrgetter(str(node.target))(self.module)
        args, kwargs = fx.map_arg((node.args, node.kwargs), lambda one: self.values[one])
        if node.op == "output":
            return args[0]
        if node.op == "call_module":
            layer = self.module.get_submodule(str(node.target))
            return self._layer(layer, str(node.target), args, kwargs)
        held = _pairs_in((args, kwargs))
        if node.op == "call_function":
            assert callable(node.target)
            return _function(node.target, args, kwargs) if held else node.target(*args, **kwargs)
        return _method(str(node.target), args, kwargs) if held else getattr(args[0], str(node.target))(*args[1:], **kwargs)

    def _split(self, value: Tensor) -> Pair:
        """Embedded tokens ``(B, T, D)`` take the region ``(B, T)`` of their tokens."""
        region = self.region.to(value)
        region = region.view(*region.shape, *[1] * (value.ndim - region.ndim))
        return Pair(region * value, (1 - region) * value)

    def _layer(self, layer: nn.Module, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not _pairs_in((args, kwargs)):
            result = layer(*args, **kwargs)
            return self._split(result) if isinstance(layer, nn.Embedding) else result
        rule = next((rule for kind, rule in _LAYERS.items() if isinstance(layer, kind)), None)
        if rule is None or len(args) != 1 or kwargs:
            raise NotImplementedError(
                f"Contextual decomposition has no rule for {type(layer).__name__} ({name!r}). There are rules for: "
                f"{', '.join(kind.__name__ for kind in _LAYERS)}."
            )
        return rule(layer, args[0])


def _pairs_in(collection: Any) -> bool:
    if isinstance(collection, Pair):
        return True
    if isinstance(collection, Mapping):
        return any(map(_pairs_in, collection.values()))
    return isinstance(collection, tuple | list) and any(map(_pairs_in, collection))


# Rules


def _apart(function: Callable[[Tensor], Tensor], pair: Pair) -> Pair:
    """A linear function without a constant."""
    return Pair(function(pair.region), function(pair.rest))


def _affine(function: Callable[[Tensor], Tensor], bias: Tensor, pair: Pair) -> Pair:
    """A linear function with a constant, which is split in proportion to the parts' absolute values."""
    region, rest = _apart(function, pair)
    share = region.abs() / (region.abs() + rest.abs()).clamp(min=torch.finfo(region.dtype).tiny)
    # Where nothing comes in at all the constant belongs to the rest.
    return Pair(region + share * bias, rest + (1 - share) * bias)


def _linear(layer: Any, pair: Pair) -> Pair:
    return _with_bias(layer, layer.bias, 0 if isinstance(layer, nn.Linear) else pair.region.ndim - 2, pair)


def _with_bias(function: Callable[[Tensor], Tensor], bias: Tensor | None, axes_behind: int, pair: Pair) -> Pair:
    """A function that adds a bias along the axis in front of so many others."""
    if bias is None:
        return _apart(function, pair)
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


def _shared(function: Callable[[Tensor], Tensor]) -> Callable[[Pair], Pair]:
    """A nonlinearity with f(0) = 0: the mean of what each part adds before and after the other (Murdoch et al.)."""

    def rule(pair: Pair) -> Pair:
        both, region, rest = function(pair.region + pair.rest), function(pair.region), function(pair.rest)
        return Pair((region + both - rest) / 2, (rest + both - region) / 2)

    return rule


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


class _Gates(NamedTuple):
    """The four gates of an LSTM's cell before their nonlinearity, from one part of its inputs."""

    input: Tensor
    forget: Tensor
    cell: Tensor
    output: Tensor


def _lstm(layer: nn.LSTM, pair: Pair) -> tuple[Pair, tuple[Pair, Pair]]:
    """Murdoch et al. 2018, section 3.2, layer by layer and direction by direction."""
    if layer.proj_size:
        raise NotImplementedError("Contextual decomposition has no rule for an LSTM with proj_size.")
    sequence = pair if layer.batch_first else _apart(lambda part: part.transpose(0, 1), pair)
    hidden, cells = [], []
    for number in range(layer.num_layers):
        directions = []
        for reverse in range(2 if layer.bidirectional else 1):
            name = f"l{number}{'_reverse' if reverse else ''}"
            outputs, cell = _lstm_direction(layer, name, sequence, bool(reverse))
            directions.append(outputs)
            hidden.append(Pair(*(part[:, 0 if reverse else -1] for part in outputs)))
            cells.append(cell)
        sequence = Pair(*(torch.cat(parts, 2) for parts in zip(*directions, strict=True)))
    sequence = sequence if layer.batch_first else _apart(lambda part: part.transpose(0, 1), sequence)
    last, cell = (Pair(*(torch.stack(parts) for parts in zip(*pairs, strict=True))) for pairs in (hidden, cells))
    return sequence, (last, cell)


def _lstm_direction(layer: nn.LSTM, name: str, sequence: Pair, reverse: bool) -> tuple[Pair, Pair]:
    into, onward = getattr(layer, f"weight_ih_{name}"), getattr(layer, f"weight_hh_{name}")
    bias = into.new_zeros(len(into))
    if layer.bias:
        bias = getattr(layer, f"bias_ih_{name}") + getattr(layer, f"bias_hh_{name}")
    constant = _Gates(*bias.chunk(4))
    start = into.new_zeros(len(sequence.region), layer.hidden_size)
    hidden, cell = Pair(start, start), Pair(start, start)
    outputs: list[Pair] = []
    steps = range(sequence.region.shape[1])
    for step in reversed(steps) if reverse else steps:
        gates = [
            _Gates(*(functional.linear(part[:, step], into) + functional.linear(before, onward)).chunk(4, 1))
            for part, before in zip(sequence, hidden, strict=True)
        ]
        cell = _lstm_cell(gates[0], gates[1], constant, cell)
        opened = torch.sigmoid(gates[0].output + gates[1].output + constant.output)
        hidden = _apart(lambda part, opened=opened: part * opened, _shared(torch.tanh)(cell))  # type: ignore[misc]
        outputs.append(hidden)
    ordered = outputs[::-1] if reverse else outputs
    return Pair(*(torch.stack(parts, 1) for parts in zip(*ordered, strict=True))), cell


def _lstm_cell(region: _Gates, rest: _Gates, constant: _Gates, before: Pair) -> Pair:
    """What is written and what is kept: products of sums, each term given to the region if all its factors are the region's
    or constant, and at least one is the region's."""
    write_r, write_g, write_c = _three(region.input, rest.input, constant.input, torch.sigmoid)
    new_r, new_g, new_c = _three(region.cell, rest.cell, constant.cell, torch.tanh)
    keep_r, keep_g, keep_c = _three(region.forget, rest.forget, constant.forget, torch.sigmoid)
    from_region = write_r * (new_r + new_c) + write_c * new_r + (keep_r + keep_c) * before.region
    everything = (write_r + write_g + write_c) * (new_r + new_g + new_c)
    everything = everything + (keep_r + keep_g + keep_c) * (before.region + before.rest)
    return Pair(from_region, everything - from_region)


def _three(
    region: Tensor, rest: Tensor, constant: Tensor, function: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """A nonlinearity of three terms; the constant goes first, the other two share evenly (Murdoch et al.)."""
    alone, both = function(constant), function(region + rest + constant)
    with_region, with_rest = function(region + constant), function(rest + constant)
    return (
        (with_region - alone + both - with_rest) / 2,
        (with_rest - alone + both - with_region) / 2,
        alone.expand_as(both),
    )


def _by_itself(layer: nn.Module, pair: Pair) -> Pair:
    return _apart(layer, pair)


_ACTIVATIONS: dict[type[nn.Module], Callable[[Pair], Pair]] = {
    nn.ReLU: _relu,
    nn.Tanh: _shared(torch.tanh),
    nn.GELU: _shared(functional.gelu),
    nn.SiLU: _shared(functional.silu),
}

_LAYERS: dict[type[nn.Module], Callable[[Any, Any], Any]] = {
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
    nn.LSTM: _lstm,
}

_FUNCTIONS: dict[Any, Callable[[Pair], Pair]] = {
    torch.relu: _relu,
    functional.relu: _relu,
    torch.tanh: _shared(torch.tanh),
    functional.gelu: _shared(functional.gelu),
    functional.silu: _shared(functional.silu),
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
_ACTIVATION_METHODS = {"relu": _relu, "tanh": _shared(torch.tanh)}
_SHAPE_METHODS = ("size", "dim")


def _function(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    first, others = args[0], args[1:]
    if function in _FUNCTIONS:
        return _FUNCTIONS[function](first)
    if function in _LINEAR_FUNCTIONS:
        return _apart(lambda part: function(part, *others, **kwargs), first)
    if function is getattr:
        return getattr(first.region, others[0])
    if function is operator.getitem:
        # Of a tensor, the same entries of both parts; of an LSTM's output, its sequence or its state.
        return _apart(lambda part: part[others[0]], first) if isinstance(first, Pair) else first[others[0]]
    if function in _AFFINE_FUNCTIONS:
        bias = others[1] if len(others) > 1 else kwargs.get("bias")
        behind = 0 if function is functional.linear else first.region.ndim - 2
        return _with_bias(lambda part: function(part, *others, **kwargs), bias, behind, first)
    if function in (operator.add, torch.add) and not kwargs:
        return Pair(*(one + other for one, other in zip(*map(_as_pair, args), strict=True)))
    if function in (operator.mul, torch.mul) and sum(isinstance(arg, Pair) for arg in args) == 1:
        pair, factor = args if isinstance(first, Pair) else args[::-1]
        return _apart(lambda part: part * factor, pair)
    if function in _MAX_POOLS:
        dimensions = first.region.ndim - 2
        pool = getattr(functional, f"max_pool{dimensions}d")
        options = {key: value for key, value in kwargs.items() if key != "return_indices"}
        return _max_pool(lambda value: pool(value, *others, **options, return_indices=True), first)
    name = getattr(function, "__name__", str(function))
    raise NotImplementedError(f"Contextual decomposition has no rule for the function {name!r}.")


def _method(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if name in _SHAPE_METHODS:
        return getattr(args[0].region, name)(*args[1:], **kwargs)
    if name in _ACTIVATION_METHODS:
        return _ACTIVATION_METHODS[name](args[0])
    if name in _LINEAR_METHODS:
        return _apart(lambda part: getattr(part, name)(*args[1:], **kwargs), args[0])
    raise NotImplementedError(f"Contextual decomposition has no rule for the method Tensor.{name}.")


def _as_pair(value: Any) -> Pair:
    """A constant belongs to the rest."""
    return value if isinstance(value, Pair) else Pair(value * 0, value)
