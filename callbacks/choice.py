"""Turns a regularizer's arguments into an intervention, a penalty, and the penalty's weight."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from salreg import presets
from salreg.attributions import Attribution, MapFunction
from salreg.interventions import Intervention
from salreg.losses import AttributionLoss
from salreg.penalties import Penalty, SaliencyPenalty
from salreg.penalties.saliency_method import Differentiation

Intervene = bool | Intervention | dict[str, Any]

#: Attribution, loss, every_n_steps, warmup_steps, differentiation, max_samples and compile, where nobody chose a penalty.
_UNCHOSEN = ("input_gradient", "rrr", 1, 0, "auto", None, False)


class Choice(NamedTuple):
    """What is done to a training step."""

    penalty: Penalty
    intervention: Intervention | None
    weight: float


def choose(
    attribution: str | Attribution | dict[str, Any] | MapFunction,
    loss: str | AttributionLoss | dict[str, Any],
    weight: float | None,
    intervene: Intervene | None,
    preset: str | Penalty | dict[str, Any] | None,
    every_n_steps: int,
    warmup_steps: int,
    differentiation: Differentiation,
    max_samples: int | None,
    compile: bool,
) -> Choice:
    """Interpret the arguments of ``SaliencyRegularizer``, and raise its errors."""
    of_penalty = (attribution, loss, every_n_steps, warmup_steps, differentiation, max_samples, compile)
    intervention = _intervention(preset is None if intervene is None else intervene)
    if preset is not None and (attribution, loss) != _UNCHOSEN[:2]:
        raise ValueError("A preset has its own attribution and loss: give either preset=..., or attribution=... and loss=...")
    penalty = SaliencyPenalty(attribution, loss) if preset is None else presets.resolve(preset)
    if weight is None and preset is not None:
        weight = 1.0
    elif weight is None:
        weight = 0.0 if of_penalty == _UNCHOSEN and intervention is not None else penalty.usual_weight
    of_differentiation = (differentiation, max_samples, compile)
    if isinstance(penalty, SaliencyPenalty) and of_differentiation != ("auto", None, False):
        penalty.differentiate(*of_differentiation)
    elif of_differentiation != ("auto", None, False):
        raise ValueError(
            f"differentiation, max_samples and compile are for penalties computed from a saliency map, not for {penalty}."
        )
    return Choice(penalty, intervention, weight)


def _intervention(given: Intervene) -> Intervention | None:
    if isinstance(given, Intervention):
        return given
    if isinstance(given, Mapping):
        return Intervention(**given)
    if not isinstance(given, bool):
        raise TypeError(f"intervene must be True, False, an Intervention or its arguments by name, not {given!r}.")
    return Intervention() if given else None
