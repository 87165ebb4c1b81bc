"""Metrics of saliency and of behaviour, as torchmetrics; ``salreg.metrics.functional`` offers them as functions."""

from salreg.metrics.constant import ConstantPredictions
from salreg.metrics.drift import MapCosine, MapEntropy, MapGini, MapRankCorrelation, MapShift, MapSSIM
from salreg.metrics.groups import WorstGroupAccuracy
from salreg.metrics.intervened import AccuracyUnderIntervention
from salreg.metrics.localisation import PointingGame, RelevanceRank, RelevantSaliency, SpuriousSaliency
from salreg.metrics.rationale import Comprehensiveness, RationaleF1, Sufficiency
from salreg.metrics.regression import RegressionReliance
from salreg.metrics.reliance import Reliance

__all__ = [
    "AccuracyUnderIntervention",
    "Comprehensiveness",
    "ConstantPredictions",
    "MapCosine",
    "MapEntropy",
    "MapGini",
    "MapRankCorrelation",
    "MapSSIM",
    "MapShift",
    "PointingGame",
    "RationaleF1",
    "RegressionReliance",
    "RelevanceRank",
    "RelevantSaliency",
    "Reliance",
    "SpuriousSaliency",
    "Sufficiency",
    "WorstGroupAccuracy",
]
