"""Papers that penalise a class activation map of a layer."""

from typing import Literal

from salreg import checks
from salreg.attributions import GradCAM
from salreg.losses import (
    MeanAbsoluteError,
    MeanSquaredError,
    PointwiseCrossEntropy,
    RankingLoss,
    RightForRightReasons,
    RobustSupervision,
)
from salreg.penalties import SaliencyPenalty
from salreg.taps import LAST_CONV, Layer


def rrr_gradcam(layer: Layer = LAST_CONV) -> SaliencyPenalty:
    """RRR-G: Schramowski et al. 2020, with the normalisation of Friedrich et al. 2023 (XIL).

    The squared Grad-CAM of the predicted class, without its ReLU and scaled to [0, 1], on the spurious marks. It departs from
    the code in that its gradient is complete (there the map's weights are constants), and in leaving the model in train mode.

    Args:
        layer: Where Grad-CAM is read; by default the last convolution.

    Example:
        >>> print(rrr_gradcam())
        RightForRightReasons of GradCAM
    """
    return SaliencyPenalty(GradCAM(layer, "predicted_logit", positive=False), RightForRightReasons("min_max"))


def hint(layer: Layer = LAST_CONV, form: Literal["simplified", "ranking"] = "simplified") -> SaliencyPenalty:
    """HINT: Selvaraju et al. 2019; its simplified form is that of Friedrich et al. 2023 (XIL).

    A squared error pulls Grad-CAM of the true class, without its ReLU and scaled to [0, 1], towards the relevant marks; or, as
    in the original, places marked higher must carry more saliency. It departs from both in that the gradient is complete, and
    from the original in ranking the places of a grid rather than object proposals.

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


def gradia(layer: Layer = LAST_CONV) -> SaliencyPenalty:
    """GRADIA: Gao et al. 2022.

    The mean absolute difference between Grad-CAM, without its ReLU and scaled to [0, 1], and the relevant marks.

    Args:
        layer: Where Grad-CAM is read; by default the last convolution.

    Example:
        >>> print(gradia())
        MeanAbsoluteError of GradCAM
    """
    return SaliencyPenalty(GradCAM(layer, positive=False), MeanAbsoluteError("min_max"))


def ppce(layer: Layer = LAST_CONV) -> SaliencyPenalty:
    """PPCE: Shen et al. 2021 (HAICS), as Rao et al. 2023 use it.

    The cross-entropy of Grad-CAM, divided by its maximum, with 1 on the relevant marks.

    Args:
        layer: Where Grad-CAM is read; by default the last convolution.

    Example:
        >>> print(ppce())
        PointwiseCrossEntropy of GradCAM
    """
    return SaliencyPenalty(GradCAM(layer), PointwiseCrossEntropy("max"))


def res(layer: Layer = LAST_CONV, slack: float = 0.1) -> SaliencyPenalty:
    """RES: Gao et al. 2022, with the Gaussian border.

    Grad-CAM without its ReLU against relevant marks with soft borders, and with a slack for wrong ones.

    Args:
        layer: Where Grad-CAM is read; by default the last convolution.
        slack: The amount of disagreement with the marks that costs nothing.

    Example:
        >>> print(res())
        RobustSupervision of GradCAM
    """
    return SaliencyPenalty(GradCAM(layer, positive=False), RobustSupervision(slack))
