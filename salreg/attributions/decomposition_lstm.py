"""Contextual decomposition of an LSTM (Murdoch et al. 2018, section 3.2)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from salreg.attributions.decomposition_pair import Pair, apart, shared


class _Gates(NamedTuple):
    """The four gates of an LSTM's cell before their nonlinearity, from one part of its inputs."""

    input: Tensor
    forget: Tensor
    cell: Tensor
    output: Tensor


def lstm(layer: nn.LSTM, pair: Pair) -> tuple[Pair, tuple[Pair, Pair]]:
    """Layer by layer and direction by direction."""
    if layer.proj_size:
        raise NotImplementedError("Contextual decomposition has no rule for an LSTM with proj_size.")
    sequence = pair if layer.batch_first else apart(lambda part: part.transpose(0, 1), pair)
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
    sequence = sequence if layer.batch_first else apart(lambda part: part.transpose(0, 1), sequence)
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
        hidden = apart(lambda part, opened=opened: part * opened, shared(torch.tanh)(cell))  # type: ignore[misc]
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
