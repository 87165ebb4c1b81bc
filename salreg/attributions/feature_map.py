"""A layer's output as a map of features: where its channels are, and how a transformer's patches lie."""

from math import isqrt
from typing import Literal

from torch import Tensor, nn

from salreg.taps import Layer
from salreg.taps.layers import find_layer

Channels = Literal["first", "last"]


def as_feature_map(
    activation: Tensor,
    layer: Layer,
    model: nn.Module,
    grid: tuple[int, int] | None = None,
    channels: Channels | None = None,
) -> Tensor:
    """A layer's output as ``(B, C, h, w)``: unchanged, with its channels moved from the end to the front, or a transformer's
    tokens ``(B, T, D)`` arranged as their patch grid.

    Raises:
        ValueError: It is none of these, the tokens do not fit the grid, or the channels cannot be identified.
    """
    if activation.ndim == 4:
        where = channels or channels_of(activation, layer, model)
        return activation if where == "first" else activation.movedim(-1, 1)
    if activation.ndim != 3:
        raise ValueError(
            f"The layer {layer!r} returns {tuple(activation.shape)}; a class activation map needs a convolutional layer with "
            "an output of shape (B, C, h, w), or a transformer's tokens (B, T, D)."
        )
    tokens = activation.shape[1]
    if grid is None:
        side = isqrt(tokens) if isqrt(tokens) ** 2 == tokens else isqrt(tokens - 1)
        grid = (side, side)
    extra = tokens - grid[0] * grid[1]
    if extra not in (0, 1):
        raise ValueError(
            f"The layer {layer!r} returns {tokens} tokens, which do not form a {grid[0]} x {grid[1]} grid of patches, with or "
            "without a class token in front; give grid=(h, w)."
        )
    return activation[:, extra:].transpose(1, 2).unflatten(2, grid)


def channels_of(activation: Tensor, layer: Layer, model: nn.Module) -> Channels:
    """Whether the channels of an output with four axes come first or last.

    It is the axis whose length matches the parameters of the layer, or of the nearest layer before it. If both match, the type
    of that layer decides; if neither does, the two other axes decide by having equal lengths.

    Raises:
        ValueError: The channel axis cannot be identified.

    Example:
        >>> import torch
        >>> channels_of(torch.zeros(2, 4, 4, 6), "0", nn.Sequential(nn.LayerNorm(6)))
        'last'
    """
    known = _parameters_behind(find_layer(model, layer), model)
    _, first, middle, last = activation.shape
    if known is not None:
        count, usual = known
        if (first == count) != (last == count):
            return "first" if first == count else "last"
        if first == last == count and first != middle:
            return "first" if middle == last else "last"  # a picture is square rather than not
        if first == last == count:
            return usual
    if (middle == last) != (first == middle):
        return "first" if middle == last else "last"
    raise ValueError(
        f"The layer {layer!r} returns {tuple(activation.shape)}, and it is not clear whether the channels come first or last: "
        "give channels='first' or channels='last', or name a layer with its own parameters."
    )


def _parameters_behind(layer: nn.Module, model: nn.Module) -> tuple[int, Channels] | None:
    """The number of output channels of the last submodule that declares one, and where such submodules have them; if the layer
    contains none, that of the nearest submodule before it."""
    inside = [known for part in layer.modules() if (known := _channels(part)) is not None]
    if inside:
        return inside[-1]
    before: tuple[int, Channels] | None = None
    for part in model.modules():
        if part is layer:
            return before
        before = _channels(part) or before
    return before


def _channels(part: nn.Module) -> tuple[int, Channels] | None:
    """The number of a submodule's output channels and their axis; None if it declares none."""
    if isinstance(part, nn.Linear):
        return part.out_features, "last"
    if isinstance(part, nn.LayerNorm):
        return part.normalized_shape[-1], "last"
    if isinstance(part, nn.modules.conv._ConvNd):
        return part.out_channels, "first"
    if isinstance(part, nn.modules.batchnorm._NormBase):
        return part.num_features, "first"
    return (part.num_channels, "first") if isinstance(part, nn.GroupNorm) else None
