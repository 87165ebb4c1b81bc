"""Papers as presets: an attribution, a loss and a score, composed as published.

Each function returns a penalty. What all of them depart from: gradients at the input are measured per standard deviation of the
input, and means run over the annotated samples, so that published weights, which span 20 decades, do not carry over; 1 is
the weight
to start with.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from salreg import checks
from salreg.attributions import ExpectedGradients, GradCAM, InfluenceGradient, InputGradient, InputTimesGradient
from salreg.interventions.replacements import Replacement
from salreg.losses import (
    BinaryCrossEntropy,
    EnergyLoss,
    MaskedL1,
    MeanAbsoluteError,
    MeanSquaredError,
    PointwiseCrossEntropy,
    RankingLoss,
    RightForRightReasons,
    RobustSupervision,
    TotalVariation,
)
from salreg.penalties import (
    ActivationDifference,
    ConceptPenalty,
    ConsistencyPenalty,
    DecompositionPenalty,
    Penalty,
    RegionPath,
    SaliencyGuided,
    SaliencyPenalty,
)
from salreg.taps import LAST_CONV, Layer


def rrr() -> SaliencyPenalty:
    """Right for the right reasons: Ross, Hughes & Doshi-Velez 2017, eq. 1.

    The squared gradient of the summed log-probabilities on the spurious marks. As published, but for the units.

    Example:
        >>> print(rrr())
        RightForRightReasons of InputGradient
    """
    return SaliencyPenalty(InputGradient("log_prob_sum"), RightForRightReasons())


def rrr_gradcam(layer: Layer = LAST_CONV) -> SaliencyPenalty:
    """RRR-G: Schramowski et al. 2020, with the normalisation of Friedrich et al. 2023 (XIL).

    The squared Grad-CAM of the predicted class, without its ReLU and scaled from 0 to 1, on the spurious marks. Departs
    from the code
    in that its gradient is complete (there the map's weights are constants), and in leaving the model in train mode.

    Args:
        layer: Where Grad-CAM is read; by default the last convolution.

    Example:
        >>> print(rrr_gradcam())
        RightForRightReasons of GradCAM
    """
    return SaliencyPenalty(GradCAM(layer, "predicted_logit", positive=False), RightForRightReasons("min_max"))


def hint(layer: Layer = LAST_CONV, form: Literal["simplified", "ranking"] = "simplified") -> SaliencyPenalty:
    """HINT: Selvaraju et al. 2019; its simplified form is that of Friedrich et al. 2023 (XIL).

    Grad-CAM of the true class, without its ReLU and scaled from 0 to 1, is pulled towards the relevant marks by a squared
    error; or, as in the
    original,
    places marked higher must carry more saliency. Departs from both in that the gradient is complete, and from the original in
    ranking the places of a grid rather than object proposals.

    Args:
        layer: Where Grad-CAM is read; by default the last convolution.
        form: ``simplified`` or ``ranking``.

    Example:
        >>> print(hint(form="ranking"))
        RankingLoss of GradCAM
    """
    checks.choice(("simplified", "ranking"), form=form)
    return SaliencyPenalty(
        GradCAM(layer, positive=False), MeanSquaredError("min_max") if form == "simplified" else RankingLoss()
    )


def gradmask() -> SaliencyPenalty:
    """GradMask: Simpson et al. 2019.

    The absolute gradient of the contrast |z0 - z1| outside the relevant marks (or on the spurious ones). For more than two
    classes
    the contrast is that of the predicted class and the runner-up.

    Example:
        >>> print(gradmask())
        MaskedL1 of InputGradient
    """
    return SaliencyPenalty(InputGradient("contrast"), MaskedL1())


def rbr() -> SaliencyPenalty:
    """Right for better reasons: Shao et al. 2021, with an identity for the Hessian, as in Friedrich et al. 2023 (XIL).

    The squared product of the input gradient and the input's influence on the parameters' gradient, on the spurious marks.
    Differentiates
    three times.

    Example:
        >>> print(rbr())
        RightForRightReasons of InfluenceGradient
    """
    return SaliencyPenalty(InfluenceGradient(), RightForRightReasons())


def cdep(form: Literal["softmax", "log_softmax"] = "softmax") -> DecompositionPenalty:
    """CDEP: Rieger et al. 2020.

    The contextual decomposition of the spurious region against that of the rest. Needs a network of feed-forward layers or
    LSTMs.

    Args:
        form: ``softmax`` over all classes (the paper's images) or ``log_softmax`` of the true class (its text).

    Example:
        >>> print(cdep())
        DecompositionPenalty (softmax)
    """
    return DecompositionPenalty(form)


def energy(layer: Layer | None = None) -> SaliencyPenalty:
    """Energy: Rao et al. 2023 (Model Guidance).

    The share of positive saliency outside the relevant marks (or on the spurious ones). Departs in that a map without positive
    saliency is left out and counted, where the code scores it with a constant.

    Args:
        layer: Read Grad-CAM there ("Final" in the paper); by default input x gradient ("Input").

    Example:
        >>> print(energy())
        EnergyLoss of InputTimesGradient
    """
    return SaliencyPenalty(InputTimesGradient() if layer is None else GradCAM(layer), EnergyLoss())


def gradia(layer: Layer = LAST_CONV) -> SaliencyPenalty:
    """GRADIA: Gao et al. 2022.

    The mean absolute difference of Grad-CAM, without its ReLU and scaled from 0 to 1, and the relevant marks.

    Args:
        layer: Where Grad-CAM is read; by default the last convolution.

    Example:
        >>> print(gradia())
        MeanAbsoluteError of GradCAM
    """
    return SaliencyPenalty(GradCAM(layer, positive=False), MeanAbsoluteError("min_max"))


def ppce(layer: Layer = LAST_CONV) -> SaliencyPenalty:
    """PPCE: Shen et al. 2021 (HAICS), as Rao et al. 2023 use it.

    The cross-entropy of Grad-CAM over its maximum with 1, on the relevant marks.

    Args:
        layer: Where Grad-CAM is read; by default the last convolution.

    Example:
        >>> print(ppce())
        PointwiseCrossEntropy of GradCAM
    """
    return SaliencyPenalty(GradCAM(layer), PointwiseCrossEntropy("max"))


def expected_gradients_prior(references: Tensor | None = None) -> SaliencyPenalty:
    """Attribution prior on expected gradients: Erion et al. 2021, the image prior.

    The total variation of expected gradients, one draw a step. Needs no annotation. References come from the batch itself by
    default, where the code draws them from the training set.

    Args:
        references: ``(N, ...)``.

    Example:
        >>> print(expected_gradients_prior())
        TotalVariation of ExpectedGradients
    """
    return SaliencyPenalty(ExpectedGradients(references), TotalVariation())


def saliency_guided(share: float = 0.5) -> SaliencyGuided:
    """Saliency-guided training: Ismail, Corrada Bravo & Feizi 2021.

    The divergence between the predictions on a sample and on the same sample with its least salient places replaced by noise.

    Args:
        share: Of the places that are replaced.

    Example:
        >>> print(saliency_guided())
        SaliencyGuided
    """
    return SaliencyGuided(share)


def actdiff(layer: Layer | Sequence[Layer] = LAST_CONV) -> ActivationDifference:
    """ActDiff: Viviano et al. 2021 ("Saliency is a possible red herring").

    The distance of a layer's activations between a sample and the same with its background shuffled.

    Args:
        layer: One or several; by default the last convolution.

    Example:
        >>> print(actdiff())
        ActivationDifference
    """
    return ActivationDifference(layer)


def res(layer: Layer = LAST_CONV, slack: float = 0.1) -> SaliencyPenalty:
    """RES: Gao et al. 2022, with the Gaussian border.

    Grad-CAM without its ReLU against relevant marks with soft borders, and with a slack for wrong ones.

    Args:
        layer: Where Grad-CAM is read; by default the last convolution.
        slack: Disagreement with the marks that costs nothing.

    Example:
        >>> print(res())
        RobustSupervision of GradCAM
    """
    return SaliencyPenalty(GradCAM(layer, positive=False), RobustSupervision(slack))


def rr_clarc(layer: Layer = LAST_CONV, direction: Tensor | Sequence[float] | None = None) -> ConceptPenalty:
    """RR-ClArC: Dreyer et al. 2023.

    The squared change of the true class's logit along the spurious concept's direction inside the network.

    Args:
        layer: Where the concept is read; by default the last convolution.
        direction: Among its channels; by default estimated while training.

    Example:
        >>> print(rr_clarc())
        ConceptPenalty
    """
    return ConceptPenalty(layer, direction)


def gals_outside() -> SaliencyPenalty:
    """GALS, "gradient outside": Petryk et al. 2022.

    The absolute gradient of the task loss outside the relevant marks (or on the spurious ones). The paper's marks are
    soft, from
    CLIP's attention; annotations may be soft, too.

    Example:
        >>> print(gals_outside())
        MaskedL1 of InputGradient
    """
    return SaliencyPenalty(InputGradient("task_loss"), MaskedL1())


def rationale_supervision() -> SaliencyPenalty:
    """Rationale supervision: Joshi et al. 2022 (ER-Test), the binary cross-entropy on input x gradient.

    The relevant marks are the rationale. Departs in explaining the true class only, where the code attributes all classes
    and picks
    one.

    Example:
        >>> print(rationale_supervision())
        BinaryCrossEntropy of InputTimesGradient
    """
    return SaliencyPenalty(InputTimesGradient(), BinaryCrossEntropy())


def counterexamples(replacement: Replacement = "uniform") -> ConsistencyPenalty:
    """Counterexamples: Teso & Kersting 2019 (CAIPI), as a loss.

    The task loss on the same samples with the spurious region replaced, the label kept. ``salreg.data.Counterexamples``
    adds them to the
    data set instead, as published.

    Args:
        replacement: ``uniform`` noise, ``shuffle``, ``swap`` with the same places of another sample, ``transplant`` of the
            other sample's own spurious region (which may show another class's shortcut), or added ``noise``.

    Example:
        >>> print(counterexamples())
        ConsistencyPenalty under uniform
    """
    return ConsistencyPenalty(replacement)


def region_path(presence: float = 0.5) -> RegionPath:
    """Path attribution of the region: completeness as in Sundararajan, Taly & Yan 2017, Proposition 1; salreg's own.

    The squared change of the log-probabilities when the region shows another sample's content, or is filled from its
    surroundings.

    Args:
        presence: The probability that it shows another sample's.

    Example:
        >>> print(region_path())
        RegionPath
    """
    return RegionPath(presence)


NAMED: dict[str, Callable[..., Penalty]] = {
    preset.__name__: preset
    for preset in (
        rrr, rrr_gradcam, hint, gradmask, rbr, cdep, energy, gradia, ppce, expected_gradients_prior, saliency_guided,
        actdiff, res,
        rr_clarc, gals_outside, rationale_supervision, counterexamples, region_path,
    )
}  # fmt: skip


def resolve(preset: str | Mapping[str, Any] | Penalty) -> Penalty:
    """The penalty of a preset's name, of ``{"name": ..., option: ...}``, or the object itself.

    Raises:
        TypeError: Something else, or an option of another type.
        ValueError: An unknown preset or option; the nearest names are suggested.

    Example:
        >>> print(resolve({"name": "hint", "form": "ranking"}))
        RankingLoss of GradCAM
    """
    if isinstance(preset, Penalty):
        return preset
    options = {**preset} if isinstance(preset, Mapping) else {}
    name = options.pop("name", None) if isinstance(preset, Mapping) else preset
    if isinstance(preset, Mapping) and name is None:
        raise ValueError(f"The preset {dict(preset)} lacks its name: {{'name': ...}}.")
    make = checks.named("a preset", name, NAMED)
    checks.options(f"The preset {name}", options, inspect.signature(make).parameters)
    return make(**options)
