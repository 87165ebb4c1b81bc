"""Attribution losses: formulas over a saliency map and an annotation."""

from collections.abc import Mapping
from typing import Any

from salreg import registry
from salreg.losses.base import AttributionLoss, PerSample
from salreg.losses.energy import EnergyLoss
from salreg.losses.masked import CosineLoss, MaskedL1, RightForRightReasons
from salreg.losses.prior import GiniPrior, TotalVariation
from salreg.losses.ranking import OrderLoss, RankingLoss
from salreg.losses.res import RobustSupervision
from salreg.losses.supervised import (
    BinaryCrossEntropy,
    HuberLoss,
    KullbackLeibler,
    MeanAbsoluteError,
    MeanSquaredError,
    PointwiseCrossEntropy,
    Supervised,
)

__all__ = [
    "AttributionLoss",
    "BinaryCrossEntropy",
    "CosineLoss",
    "EnergyLoss",
    "GiniPrior",
    "HuberLoss",
    "KullbackLeibler",
    "MaskedL1",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "OrderLoss",
    "PerSample",
    "PointwiseCrossEntropy",
    "RankingLoss",
    "RightForRightReasons",
    "RobustSupervision",
    "Supervised",
    "TotalVariation",
    "resolve",
]

NAMED: dict[str, type[AttributionLoss]] = {
    "rrr": RightForRightReasons,
    "l1": MaskedL1,
    "cosine": CosineLoss,
    "energy": EnergyLoss,
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "huber": HuberLoss,
    "bce": BinaryCrossEntropy,
    "ppce": PointwiseCrossEntropy,
    "kl": KullbackLeibler,
    "ranking": RankingLoss,
    "order": OrderLoss,
    "res": RobustSupervision,
    "total_variation": TotalVariation,
    "gini": GiniPrior,
}


def resolve(loss: str | Mapping[str, Any] | AttributionLoss) -> AttributionLoss:
    """The loss given by a name, by ``{"name": ..., option: ...}``, or as the object itself.

    Raises:
        TypeError: Another type, such as a class, or an option of a wrong type.
        ValueError: An unknown name or option; the message suggests the nearest.

    Example:
        >>> resolve({"name": "rrr", "normalize": "max"}).normalize
        'max'
    """
    if isinstance(loss, AttributionLoss):
        return loss
    return registry.made("an attribution loss", loss, NAMED)
