"""From a regularizer's arguments to what it does: an intervention, a penalty, and the penalty's weight."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from salreg import presets
from salreg.attributions import Attribution, MapFunction
from salreg.interventions import Intervention
from salreg.losses import AttributionLoss
from salreg.penalties import Penalty, SaliencyPenalty
from salreg.penalties.saliency_way import Differentiation

Intervene = bool | Intervention | dict[str, Any]


class Choice(NamedTuple):
    """What is done to a training step."""

    penalty: Penalty
    intervention: Intervention | None
    weight: float


def choose(
    attribution: str | MapFunction | Attribution,
    loss: str | AttributionLoss,
    weight: float | None,
    intervene: Intervene | None,
    preset: str | Penalty | dict[str, Any] | None,
    every_n_steps: int,
    warmup_steps: int,
    differentiation: Differentiation,
    max_rows: int | None,
    compile: bool,
) -> Choice:
    """What the arguments of ``SaliencyRegularizer`` mean, its errors included."""
    of_penalty = (attribution, loss, every_n_steps, warmup_steps, differentiation, max_rows, compile)
    chosen = preset is not None or of_penalty != ("input_gradient", "rrr", 1, 0, "auto", None, False)
    intervention = _intervention(preset is None if intervene is None else intervene)
    if every_n_steps < 1 or warmup_steps < 0:
        raise ValueError(f"every_n_steps ({every_n_steps}) starts at 1 and warmup_steps ({warmup_steps}) at 0.")
    if preset is not None and (attribution, loss) != ("input_gradient", "rrr"):
        raise ValueError("A preset brings its own attribution and loss: give preset=... or attribution=... and loss=...")
    penalty = SaliencyPenalty(attribution, loss) if preset is None else presets.resolve(preset)
    if weight is None:
        wanted = chosen or intervention is None
        usual = penalty.usual_weight if preset is None else 1.0  # as published
        weight = usual if wanted else 0.0
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"weight is a finite number of at least 0, not {weight}.")
    of_differentiation = (differentiation, max_rows, compile)
    if isinstance(penalty, SaliencyPenalty) and of_differentiation != ("auto", None, False):
        penalty.differentiate(*of_differentiation)
    elif of_differentiation != ("auto", None, False):
        raise ValueError(f"differentiation, max_rows and compile are for penalties made of a saliency map, not for {penalty}.")
    return Choice(penalty, intervention, weight)


def _intervention(given: Intervene) -> Intervention | None:
    if isinstance(given, Intervention):
        return given
    if isinstance(given, Mapping):
        return Intervention(**given)
    if not isinstance(given, bool):
        raise TypeError(f"intervene is True, False, an Intervention or its arguments by name, not {given!r}.")
    return Intervention() if given else None
