"""Whether a map depends on what the model has learned."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from salreg.differentiation import gathered, reshard, sharded_like
from salreg.metrics.functional import map_rank_correlation


def parameter_randomisation(
    module: nn.Module, explain: Callable[[], Tensor], stages: int = 8, seed: int = 0
) -> dict[str, float]:
    """The similarity of maps while the parameters are randomised, layer by layer from the output to the input.

    Adebayo et al. 2018, "Sanity Checks for Saliency Maps", cascading randomisation. Here a parameter is randomised by shuffling
    its values, which keeps their distribution; layers are taken in the order of registration.

    Args:
        module: The model to explain. Its parameters are restored when this returns or raises. If FSDP2 shards it, every process
            has to call this.
        explain: Returns the maps ``(B, ...)`` of the same samples each time, with the module's current parameters.
        stages: The largest number of measurements; if there are more layers, they are randomised in groups.
        seed: The seed of the shuffling.

    Returns:
        Spearman's correlation of the absolute maps with the original ones, mean over the samples, by the name of the last layer
        that was randomised; in order, the last with all layers randomised. NaN if maps are flat.

    Example:
        >>> net, x = nn.Sequential(nn.Linear(9, 5), nn.Tanh(), nn.Linear(5, 2)), torch.rand(4, 9)
        >>> list(parameter_randomisation(net, lambda: x))  # a "map" that ignores the model altogether
        ['2', '0']
    """
    reshard(module)
    layers = [(name, list(part.parameters(recurse=False))) for name, part in module.named_modules()]
    layers = [(name or "the module's own", own) for name, own in reversed(layers) if own]
    generator = torch.Generator().manual_seed(seed)

    def maps() -> Tensor:
        found = explain().abs()
        reshard(module)  # or the next parameters to be shuffled are gathered copies
        return found

    original = maps()
    similarity: dict[str, float] = {}
    with _restored(module):
        for group in _grouped(layers, stages):
            for _, parameters in group:
                for parameter in parameters:
                    _shuffle(parameter, generator)
            values = map_rank_correlation(original, maps())
            similarity[group[-1][0]] = float(values.nanmean())
    return similarity


def _shuffle(parameter: nn.Parameter, generator: torch.Generator) -> None:
    order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
    with torch.no_grad():
        parameter.copy_(sharded_like(parameter, gathered(parameter).flatten()[order].view(parameter.shape)))


def _grouped(layers: list[tuple[str, list[nn.Parameter]]], stages: int) -> Iterator[list[tuple[str, list[nn.Parameter]]]]:
    """At most ``stages`` groups of neighbours, as equal in size as possible."""
    count = min(stages, len(layers))
    for index in range(count):
        yield layers[index * len(layers) // count : (index + 1) * len(layers) // count]


@contextmanager
def _restored(module: nn.Module) -> Iterator[None]:
    kept = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    try:
        yield
    finally:
        reshard(module)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                parameter.copy_(kept[name])
