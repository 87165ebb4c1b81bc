"""Attribution losses: formulas over a saliency map and an annotation."""

from salreg.losses.base import AttributionLoss, PerSample
from salreg.losses.energy import EnergyLoss
from salreg.losses.masked import RightForRightReasons
from salreg.names import nearest

__all__ = ["AttributionLoss", "EnergyLoss", "PerSample", "RightForRightReasons", "resolve"]

NAMED: dict[str, type[AttributionLoss]] = {"rrr": RightForRightReasons, "energy": EnergyLoss}


def resolve(loss: str | AttributionLoss) -> AttributionLoss:
    """The loss of that name with its defaults, or the object itself."""
    if isinstance(loss, AttributionLoss):
        return loss
    if loss not in NAMED:
        raise ValueError(f"No attribution loss is called {loss!r}{nearest(loss, NAMED)}. There are: {', '.join(NAMED)}.")
    return NAMED[loss]()
