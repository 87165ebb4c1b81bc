"""Replaces the part of an input that models must not use, for training or for measuring on the result."""

from typing import Literal

import torch
from torch import Tensor

from salreg.annotations import as_places
from salreg.rng import Rng

Replacement = Literal["noise", "uniform", "shuffle", "swap", "transplant"]
REPLACEMENTS: tuple[Replacement, ...] = ("noise", "uniform", "shuffle", "swap", "transplant")


def replace(inputs: Tensor, region: Tensor, how: Replacement, rng: Rng, deviation: Tensor | float = 1.0) -> Tensor:
    """Replace a region of each sample.

    Args:
        inputs: ``(B, ...)``.
        region: In [0, 1], laid out like the inputs, one channel is enough. Soft values mix old and new.
        how: ``noise`` adds normal noise of the given deviation. ``uniform`` draws between the channel's least and largest value
            in the batch. ``shuffle`` exchanges the places of the region within the sample, all channels together. ``swap``
            takes the same places of another sample of the batch, ``transplant`` the places of another sample's own region,
            wherever they are: its first place replaces the first place here, and so on, starting over if it has fewer. If there
            is no other sample, nothing changes.
        rng: The random number generator.
        deviation: The standard deviation of the noise; broadcasts to the inputs.

    Raises:
        ValueError: ``how`` is unknown.

    Example:
        >>> x, region = torch.rand(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
        >>> torch.equal(replace(x, region, "uniform", Rng(0)), x)
        True
    """
    region = region.to(inputs)
    if how == "noise":
        return inputs + region * deviation * rng.normal(inputs.shape, like=inputs)
    grid, region_there = as_places(inputs, region)
    if grid is not inputs:  # each element is marked by itself
        return replace(grid, region_there, how, rng).squeeze(1)
    if how == "uniform":
        other = _uniform(inputs, rng)
    elif how == "shuffle":
        other = _shuffled(inputs, region, rng)
    elif how == "swap":
        other = _others(inputs, rng)
    elif how == "transplant":
        other = _transplants(inputs, region, rng)
    else:
        raise ValueError(f"A region is replaced by {', '.join(REPLACEMENTS)}, not by {how!r}.")
    return torch.lerp(inputs, other, region.expand_as(inputs))


def _uniform(inputs: Tensor, rng: Rng) -> Tensor:
    axes = [axis for axis in range(inputs.ndim) if axis != 1]
    low, high = inputs.amin(axes, keepdim=True), inputs.amax(axes, keepdim=True)
    return low + (high - low) * rng.uniform(inputs.shape, like=inputs)


def _others(inputs: Tensor, rng: Rng) -> Tensor:
    return inputs[_another(len(inputs), rng, inputs.device)]


def _another(size: int, rng: Rng, device: torch.device) -> Tensor:
    """For each of so many samples the number of another one; its own if it is alone."""
    own = torch.arange(size, device=device)
    return own if size < 2 else (own + 1 + rng.integers(size - 1, (size,), device)) % size


def _transplants(inputs: Tensor, region: Tensor, rng: Rng) -> Tensor:
    """At the k-th place of each sample's region, the k-th of another sample's region."""
    places = _places(inputs, region)
    owners = places.any(1).nonzero().flatten()
    donors = owners[_another(len(owners), rng, inputs.device)]
    order = places[donors].int().argsort(dim=1, descending=True, stable=True)  # the places of a region first
    count = places[donors].sum(1, keepdim=True)
    source = order.gather(1, (places[owners].cumsum(1) - 1).clamp(min=0) % count)
    flat = _flat(inputs)
    taken = flat[donors].gather(2, source.unsqueeze(1).expand(-1, flat.shape[1], -1))
    return flat.index_copy(0, owners, taken).view_as(inputs)


def _shuffled(inputs: Tensor, region: Tensor, rng: Rng) -> Tensor:
    """Each sample's places of the region in another order, the others where they are."""
    places = _places(inputs, region)
    position = torch.arange(places.shape[1], device=inputs.device, dtype=torch.float32) + 1
    # Two random orders of the region's places, in front; behind, all other places in their own order, twice the same.
    one, other = (torch.where(places, rng.uniform(tuple(places.shape), like=position), position).argsort(1) for _ in range(2))
    flat = _flat(inputs)
    source, goal = (order.unsqueeze(1).expand_as(flat) for order in (one, other))
    return torch.empty_like(flat).scatter_(2, goal, flat.gather(2, source)).view_as(inputs)


def _places(inputs: Tensor, region: Tensor) -> Tensor:
    """Where the region lies ``(B, places)``, all channels being one."""
    return (region[:, :1] if inputs.ndim > 2 else region).flatten(1) > 0


def _flat(inputs: Tensor) -> Tensor:
    """``(B, channels, places)``."""
    return inputs.flatten(2) if inputs.ndim > 2 else inputs.unsqueeze(1)
