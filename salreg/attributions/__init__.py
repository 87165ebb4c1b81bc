"""Attributions: saliency maps of a model's forward pass."""

from collections.abc import Callable

from salreg.attributions.base import Attribution, TapAttribution
from salreg.attributions.cam import ClassActivationMap, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from salreg.attributions.gradient import InputGradient, InputTimesGradient, SmoothGrad, VarGrad
from salreg.attributions.path import ExpectedGradients, IntegratedGradients
from salreg.attributions.perturbation import RISE, FeatureAblation, Occlusion
from salreg.names import nearest

__all__ = [
    "RISE",
    "Attribution",
    "ClassActivationMap",
    "ExpectedGradients",
    "FeatureAblation",
    "GradCAM",
    "GradCAMPlusPlus",
    "HiResCAM",
    "InputGradient",
    "InputTimesGradient",
    "IntegratedGradients",
    "LayerCAM",
    "Occlusion",
    "SmoothGrad",
    "TapAttribution",
    "VarGrad",
    "XGradCAM",
    "resolve",
]

#: Attributions that can be named, with their defaults. Those at a layer need one and are given as objects.
NAMED: dict[str, Callable[[], Attribution]] = {
    "input_gradient": InputGradient,
    "input_times_gradient": InputTimesGradient,
    "smooth_grad": SmoothGrad,
    "var_grad": VarGrad,
    "integrated_gradients": IntegratedGradients,
    "expected_gradients": ExpectedGradients,
    "occlusion": Occlusion,
    "rise": RISE,
}


def resolve(attribution: str | Attribution) -> Attribution:
    """The attribution of that name with its defaults, or the object itself."""
    if isinstance(attribution, Attribution):
        return attribution
    if attribution == "grad_cam":
        raise ValueError("Grad-CAM needs a layer: pass attribution=GradCAM(layer='...').")
    if attribution not in NAMED:
        raise ValueError(
            f"No attribution is called {attribution!r}{nearest(attribution, NAMED)}. There are: {', '.join(NAMED)}."
        )
    return NAMED[attribution]()
