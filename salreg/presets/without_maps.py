"""Papers that penalise something other than a map: activations, decompositions, or the predictions on changed samples."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from salreg.interventions.replacements import Replacement
from salreg.penalties import (
    ActivationDifference,
    ConceptPenalty,
    ConsistencyPenalty,
    DecompositionPenalty,
    RegionPath,
    SaliencyGuided,
)
from salreg.taps import LAST_CONV, Layer


def cdep(form: Literal["softmax", "log_softmax"] = "softmax") -> DecompositionPenalty:
    """CDEP: Rieger et al. 2020.

    The contextual decomposition of the spurious region compared with that of the rest. It needs a network of feed-forward
    layers or LSTMs.

    Args:
        form: ``softmax`` over all classes (the paper's images) or ``log_softmax`` of the true class (its text).

    Example:
        >>> print(cdep())
        DecompositionPenalty (softmax)
    """
    return DecompositionPenalty(form)


def saliency_guided(share: float = 0.5) -> SaliencyGuided:
    """Saliency-guided training: Ismail, Corrada Bravo & Feizi 2021.

    The divergence between the predictions on a sample and on the same sample with its least salient places replaced by noise.

    Args:
        share: The share of places that are replaced.

    Example:
        >>> print(saliency_guided())
        SaliencyGuided
    """
    return SaliencyGuided(share)


def actdiff(layer: Layer | Sequence[Layer] = LAST_CONV) -> ActivationDifference:
    """ActDiff: Viviano et al. 2021 ("Saliency is a possible red herring").

    The distance between a layer's activations on a sample and on the same sample with its background shuffled.

    Args:
        layer: One or several layers; by default the last convolution.

    Example:
        >>> print(actdiff())
        ActivationDifference
    """
    return ActivationDifference(layer)


def rr_clarc(layer: Layer = LAST_CONV, direction: Tensor | Sequence[float] | None = None) -> ConceptPenalty:
    """RR-ClArC: Dreyer et al. 2023.

    The squared change of the true class's logit along the spurious concept's direction inside the network.

    Args:
        layer: Where the concept is read; by default the last convolution.
        direction: The concept's direction among the layer's channels; by default estimated during training.

    Example:
        >>> print(rr_clarc())
        ConceptPenalty
    """
    return ConceptPenalty(layer, direction)


def counterexamples(replacement: Replacement = "uniform") -> ConsistencyPenalty:
    """Counterexamples: Teso & Kersting 2019 (CAIPI), as a loss.

    The task loss on the same samples with the spurious region replaced and the label kept. As published,
    ``salreg.data.Counterexamples`` adds such samples to the data set instead.

    Args:
        replacement: ``uniform`` noise, ``shuffle``, ``swap`` with the same places of another sample, ``transplant`` of the
            other sample's own spurious region (which may show another class's shortcut), or added ``noise``.

    Example:
        >>> print(counterexamples())
        ConsistencyPenalty under uniform
    """
    return ConsistencyPenalty(replacement)


def region_path(presence: float = 0.5) -> RegionPath:
    """Path attribution of the region: a method of salreg, based on completeness (Sundararajan, Taly & Yan 2017, Proposition 1).

    The squared change of the log-probabilities when the region shows another sample's content, or is filled from its
    surroundings.

    Args:
        presence: The probability that the region shows another sample's content.

    Example:
        >>> print(region_path())
        RegionPath
    """
    return RegionPath(presence)
