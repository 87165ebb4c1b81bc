"""Runs both checks of an explainer and interprets them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from salreg.sanity.deletion import area_under, deletion_curve
from salreg.sanity.randomisation import parameter_randomisation

_TOO_SIMILAR = 0.5
_RANDOM_ORDERS = 3


@dataclass
class SanityCheck:
    """The results for one attribution, as means over the samples.

    Attributes:
        similarity: The similarity of the maps after the layers down to the named one were randomised; see
            ``parameter_randomisation``.
        deletion: The curve while salient places are deleted, see ``deletion_curve``.
        insertion: The curve while they are put back.
        random_deletion: The curve while places are deleted in random order.
        random_insertion: The curve while they are put back in random order.
    """

    similarity: dict[str, float] = field(default_factory=dict)
    deletion: list[float] = field(default_factory=list)
    insertion: list[float] = field(default_factory=list)
    random_deletion: list[float] = field(default_factory=list)
    random_insertion: list[float] = field(default_factory=list)

    def objections(self) -> list[str]:
        """Reasons not to trust the attribution here; empty if there are none.

        There are two rules of thumb. Maps that keep a rank correlation above 0.5 when all parameters are randomised show the
        input rather than the model. Maps whose order of places neither lowers nor raises the probability faster than a random
        order do not show what the model depends on.

        Example:
            >>> SanityCheck(similarity={"fc": 0.4, "conv": 0.9}).objections()
            ['its maps hardly change when the model is randomised (rank correlation 0.90): they show the input']
        """
        found = []
        last = list(self.similarity.values())[-1] if self.similarity else math.nan
        if last > _TOO_SIMILAR:
            found.append(
                f"its maps hardly change when the model is randomised (rank correlation {last:.2f}): they show the input"
            )
        if (
            self.deletion
            and _area(self.deletion) >= _area(self.random_deletion)
            and _area(self.insertion) <= _area(self.random_insertion)
        ):
            found.append("deleting what it marks changes the prediction no faster than deleting at random")
        return found


def check(
    module: nn.Module,
    explain: Callable[[], Tensor],
    predict: Callable[[Tensor], Tensor],
    inputs: Tensor,
    seed: int = 0,
) -> SanityCheck:
    """Randomise the parameters, and delete and insert the places that the maps point at.

    Args:
        module: The model to explain; unchanged afterwards.
        explain: Returns the maps ``(B, ...)`` of ``inputs`` with the module's current parameters.
        predict: A function from inputs to logits.
        inputs: ``(B, ...)``; if the maps have different places, nothing is deleted.
        seed: The seed of all random numbers.
    """
    saliency = explain()
    found = SanityCheck(similarity=parameter_randomisation(module, explain, seed=seed))
    order = (saliency.abs().sum(1) if saliency.ndim > 2 else saliency.abs()).to(inputs.device)
    places = inputs[:, 0] if inputs.ndim > 2 else inputs
    if order.shape != places.shape or not inputs.is_floating_point():
        return found
    generator = torch.Generator().manual_seed(seed)
    random = [torch.rand(order.shape, generator=generator).to(order) for _ in range(_RANDOM_ORDERS)]
    for insert, ours, theirs in ((False, "deletion", "random_deletion"), (True, "insertion", "random_insertion")):
        setattr(found, ours, deletion_curve(predict, inputs, order, insert=insert).mean(1).tolist())
        curves = torch.stack([deletion_curve(predict, inputs, one, insert=insert) for one in random])
        setattr(found, theirs, curves.mean((0, 2)).tolist())
    return found


def _area(curve: list[float]) -> float:
    return float(area_under(torch.tensor(curve).unsqueeze(1)))
