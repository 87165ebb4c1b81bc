"""A tensor in two parts, and what all rules of contextual decomposition do with it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor


class Pair(NamedTuple):
    """A tensor in two parts: what the region contributed, and the rest. Their sum is the network's own value."""

    region: Tensor
    rest: Tensor


def holds_pair(collection: Any) -> bool:
    if isinstance(collection, Pair):
        return True
    if isinstance(collection, Mapping):
        return any(map(holds_pair, collection.values()))
    return isinstance(collection, tuple | list) and any(map(holds_pair, collection))


def apart(function: Callable[[Tensor], Tensor], pair: Pair) -> Pair:
    """A linear function without a constant."""
    return Pair(function(pair.region), function(pair.rest))


def shared(function: Callable[[Tensor], Tensor]) -> Callable[[Pair], Pair]:
    """A nonlinearity with f(0) = 0: the mean of what each part adds before and after the other (Murdoch et al.)."""

    def rule(pair: Pair) -> Pair:
        both, region, rest = function(pair.region + pair.rest), function(pair.region), function(pair.rest)
        return Pair((region + both - rest) / 2, (rest + both - region) / 2)

    return rule
