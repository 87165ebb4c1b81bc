"""Attributions: saliency maps of a model's forward pass."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from salreg import registry
from salreg.attributions.attention import (
    AttentionAttribution,
    AttentionRollout,
    GradientAttentionRollout,
    LeGrad,
    RawAttention,
)
from salreg.attributions.base import Attribution, TapAttribution
from salreg.attributions.cam import ClassActivationMap, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from salreg.attributions.custom import CaptumAttribution, CustomAttribution, MapFunction
from salreg.attributions.decomposition import ContextualDecomposition, decompose
from salreg.attributions.gradient import InputGradient, InputTimesGradient, SmoothGrad, VarGrad
from salreg.attributions.influence import InfluenceGradient
from salreg.attributions.path import ExpectedGradients, IntegratedGradients
from salreg.attributions.perturbation import FeatureAblation, Occlusion
from salreg.attributions.rise import RISE

__all__ = [
    "RISE",
    "AttentionAttribution",
    "AttentionRollout",
    "Attribution",
    "CaptumAttribution",
    "ClassActivationMap",
    "ContextualDecomposition",
    "CustomAttribution",
    "ExpectedGradients",
    "FeatureAblation",
    "GradCAM",
    "GradCAMPlusPlus",
    "GradientAttentionRollout",
    "HiResCAM",
    "InfluenceGradient",
    "InputGradient",
    "InputTimesGradient",
    "IntegratedGradients",
    "LayerCAM",
    "LeGrad",
    "MapFunction",
    "Occlusion",
    "RawAttention",
    "SmoothGrad",
    "TapAttribution",
    "VarGrad",
    "XGradCAM",
    "decompose",
    "name_of",
    "resolve",
]

#: Attributions that can be named, with their defaults.
NAMED: dict[str, Callable[[], Attribution]] = {
    "input_gradient": InputGradient,
    "input_times_gradient": InputTimesGradient,
    "smooth_grad": SmoothGrad,
    "var_grad": VarGrad,
    "integrated_gradients": IntegratedGradients,
    "expected_gradients": ExpectedGradients,
    "grad_cam": GradCAM,
    "grad_cam_plus_plus": GradCAMPlusPlus,
    "hires_cam": HiResCAM,
    "layer_cam": LayerCAM,
    "x_grad_cam": XGradCAM,
    "raw_attention": RawAttention,
    "attention_rollout": AttentionRollout,
    "gradient_attention_rollout": GradientAttentionRollout,
    "le_grad": LeGrad,
    "occlusion": Occlusion,
    "feature_ablation": FeatureAblation,
    "rise": RISE,
    "contextual_decomposition": ContextualDecomposition,
    "influence_gradient": InfluenceGradient,
}


def resolve(attribution: str | Mapping[str, Any] | MapFunction | Attribution) -> Attribution:
    """The attribution given by a name, by ``{"name": ..., option: ...}``, as the object itself, or as a function ``(model,
    inputs, target) -> map``.

    Raises:
        TypeError: Another type, such as a class, or an option of a wrong type.
        ValueError: An unknown name or option; the message suggests the nearest.

    Example:
        >>> resolve({"name": "grad_cam", "layer": "net.3"}).layers
        ['net.3']
    """
    if isinstance(attribution, Attribution):
        return attribution
    if callable(attribution) and not isinstance(attribution, type):
        return CustomAttribution(attribution)
    return registry.made("an attribution", cast("str | Mapping[str, Any]", attribution), NAMED)


def name_of(attribution: Attribution) -> str:
    """The registered name of an attribution's class, or the name of the user's function or class.

    Example:
        >>> name_of(HiResCAM("net.3"))
        'hires_cam'
    """
    if isinstance(attribution, CustomAttribution):
        return attribution.name
    return next((name for name, kind in NAMED.items() if kind is type(attribution)), type(attribution).__name__)
