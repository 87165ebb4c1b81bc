"""Attributions: saliency maps as functions of the activation and the gradient at a tap."""

from collections.abc import Callable

from salreg.attributions.base import Attribution
from salreg.attributions.cam import GradCAM
from salreg.attributions.gradient import InputGradient
from salreg.names import nearest

__all__ = ["Attribution", "GradCAM", "InputGradient", "resolve"]

NAMED: dict[str, Callable[[], Attribution]] = {"input_gradient": InputGradient}


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
