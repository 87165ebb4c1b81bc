"""Papers that penalise a map of the input."""

from torch import Tensor

from salreg.attributions import ExpectedGradients, GradCAM, InfluenceGradient, InputGradient, InputTimesGradient
from salreg.losses import BinaryCrossEntropy, EnergyLoss, MaskedL1, RightForRightReasons, TotalVariation
from salreg.penalties import SaliencyPenalty
from salreg.taps import Layer


def rrr() -> SaliencyPenalty:
    """Right for the right reasons: Ross, Hughes & Doshi-Velez 2017, eq. 1.

    The squared gradient of the summed log-probabilities on the spurious marks. It is as published, except for the units.

    Example:
        >>> print(rrr())
        RightForRightReasons of InputGradient
    """
    return SaliencyPenalty(InputGradient("log_prob_sum"), RightForRightReasons())


def gradmask() -> SaliencyPenalty:
    """GradMask: Simpson et al. 2019.

    The absolute gradient of the contrast |z0 - z1| outside the relevant marks (or on the spurious ones). For more than two
    classes, the contrast is between the predicted class and the runner-up.

    Example:
        >>> print(gradmask())
        MaskedL1 of InputGradient
    """
    return SaliencyPenalty(InputGradient("contrast"), MaskedL1())


def rbr() -> SaliencyPenalty:
    """Right for better reasons: Shao et al. 2021, with the identity in place of the Hessian, as in Friedrich et al. 2023 (XIL).

    The squared product of the input gradient and the input's influence on the parameters' gradient, on the spurious marks. It
    needs third derivatives.

    Example:
        >>> print(rbr())
        RightForRightReasons of InfluenceGradient
    """
    return SaliencyPenalty(InfluenceGradient(), RightForRightReasons())


def energy(layer: Layer | None = None) -> SaliencyPenalty:
    """Energy: Rao et al. 2023 (Model Guidance).

    The share of positive saliency outside the relevant marks (or on the spurious ones). It departs from the code in that a map
    without positive saliency is left out and counted; the code scores it with a constant.

    Args:
        layer: The layer for Grad-CAM ("Final" in the paper); by default input x gradient is used ("Input").

    Example:
        >>> print(energy())
        EnergyLoss of InputTimesGradient
    """
    return SaliencyPenalty(InputTimesGradient() if layer is None else GradCAM(layer), EnergyLoss())


def expected_gradients_prior(references: Tensor | None = None) -> SaliencyPenalty:
    """Attribution prior on expected gradients: Erion et al. 2021, the image prior.

    The total variation of expected gradients, with one draw per step. It needs no annotation. By default references come from
    the batch itself; the code draws them from the training set.

    Args:
        references: The reference samples ``(N, ...)``.

    Example:
        >>> print(expected_gradients_prior())
        TotalVariation of ExpectedGradients
    """
    return SaliencyPenalty(ExpectedGradients(references), TotalVariation())


def gals_outside() -> SaliencyPenalty:
    """GALS, "gradient outside": Petryk et al. 2022.

    The absolute gradient of the task loss outside the relevant marks (or on the spurious ones). The paper's marks are soft,
    from CLIP's attention; annotations may be soft, too.

    Example:
        >>> print(gals_outside())
        MaskedL1 of InputGradient
    """
    return SaliencyPenalty(InputGradient("task_loss"), MaskedL1())


def rationale_supervision() -> SaliencyPenalty:
    """Rationale supervision: Joshi et al. 2022 (ER-Test), the binary cross-entropy on input x gradient.

    The relevant marks are the rationale. It departs from the code in explaining only the true class; the code attributes all
    classes and picks one.

    Example:
        >>> print(rationale_supervision())
        BinaryCrossEntropy of InputTimesGradient
    """
    return SaliencyPenalty(InputTimesGradient(), BinaryCrossEntropy())
