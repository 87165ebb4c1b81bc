"""What happened to a model's use of the spurious region, in words."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from salreg.history import History

Change = tuple[float, float]

_USES = 0.05  # of the predictions change
_FALLS = 0.03  # of the accuracy
_WHEN = {
    "content": "when the region shows another sample's content",
    "removal": "when the thing is taken away",
    "insertion": "when the thing is put into samples without it",
}


def verdict(
    saliency: Mapping[str, Change],
    probes: Mapping[str, Change],
    reliance: Mapping[str, Change],
    accuracy: Change | None = None,
    constant: bool = False,
    regression: bool = False,
) -> str:
    """Say whether a change is real. Each change is what was before and after, a share in [0, 1].

    Rules of thumb: a model uses the region while more than 5% of its predictions change in any of the ways that were measured,
    or its output moves by more than 5% of its spread; a map changed when its share on the marks fell to a half; an accuracy
    fell when it lost more than 3 points.

    Args:
        saliency: The spurious saliency of what is regularised, or drawn, by name.
        probes: That of attributions that are only watched.
        reliance: The share of predictions that change, by what is done: ``content`` is exchanged, ``removal`` of the thing,
            ``insertion`` into samples without it. Only what was measured; NaN where predictions were.
        accuracy: Under intervention, where it was measured.
        constant: Whether the model predicts one class for at least 98% of the samples, while the labels differ; or a regression
            puts out the same for all.
        regression: Whether reliance is how far the output moves, in units of its spread, rather than a share of predictions.

    Returns:
        One line; empty where nothing was marked as spurious.

    Example:
        >>> words = verdict({"input_gradient": (0.41, 0.02)}, {"grad_cam": (0.38, 0.03)}, {"content": (0.52, 0.01)})
        >>> for part in words.split(": "):
        ...     print(part)
        spurious saliency 41% → 2% (input_gradient), probes 38% → 3% (grad_cam), reliance 52% → 1% (content)
        the model stopped using the region
        >>> words = verdict({"input_gradient": (0.41, 0.02)}, {}, {"content": (0.52, 0.01), "insertion": (0.5, 0.49)})
        >>> print(words.split(": ")[1])
        the map changed and the behaviour did not, as 49% of predictions change when the thing is put into samples without it
    """
    if not saliency:
        return ""
    told = [f"spurious saliency {_changes(saliency)}"]
    if probes:
        told.append(f"probes {_changes(probes)}")
    if reliance:
        before, after = _worst(reliance)
        unit = " of the output's spread" if regression else ""
        told.append(f"reliance {_percent(before)} → {_percent(after)}{unit} ({', '.join(reliance)})")
    if accuracy is not None:
        told.append(f"accuracy under intervention {_percent(accuracy[1])}")
    said = f": {_conclusion(saliency, probes, reliance, constant, regression)}" if reliance else "; reliance was not measured"
    if accuracy is not None and round(accuracy[0] - accuracy[1], 9) > _FALLS:
        said += f"; but its accuracy under intervention fell from {_percent(accuracy[0])}"
    return ", ".join(told) + said


def verdict_on_run(history: History) -> str:
    """Compare the end of a training with what was worst during it; its accuracy with what was best."""
    return verdict(*_measured(history, history, within=True))


def verdict_on_runs(before: History, after: History) -> str:
    """Compare how two trainings ended."""
    return verdict(*_measured(before, after, within=False))


def _conclusion(
    saliency: Mapping[str, Change],
    probes: Mapping[str, Change],
    reliance: Mapping[str, Change],
    constant: bool,
    regression: bool,
) -> str:
    before, after = _worst(reliance)
    pointing = [name for name, change in probes.items() if not _fell(change)]
    if math.isnan(before) or math.isnan(after):
        return "predictions are NaN, and reliance says nothing"
    if constant:
        alike = "all outputs are the same" if regression else "nearly all predictions are one class"
        return f"{alike}, and reliance says nothing"
    if after <= _USES and before <= _USES:
        return "predictions did not depend on the region"
    if after <= _USES and pointing:
        return f"predictions no longer depend on the region, though {', '.join(pointing)} points at it as before"
    if after <= _USES:
        return "the model stopped using the region"
    worst = max(reliance, key=lambda kind: reliance[kind][1])
    moves = f"the output moves by {_percent(after)} of its spread"
    cause = f"as {moves if regression else f'{_percent(after)} of predictions change'} {_WHEN[worst]}"
    if _fell((before, after)):
        return f"the model uses the region less, but still does, {cause}"
    if all(_fell(change) for change in saliency.values()):
        return f"the map changed and the behaviour did not, {cause}"
    return f"the model uses the region, {cause}"


def _worst(reliance: Mapping[str, Change]) -> Change:
    """The largest before and after; NaN where one of them is."""
    before, after = (
        math.nan if any(map(math.isnan, values)) else max(values) for values in zip(*reliance.values(), strict=True)
    )
    return before, after


def _fell(change: Change) -> bool:
    return change[1] <= change[0] / 2


class _Measured(NamedTuple):
    """What ``verdict`` judges."""

    saliency: dict[str, Change]
    probes: dict[str, Change]
    reliance: dict[str, Change]
    accuracy: Change | None
    constant: bool
    regression: bool


def _measured(before: History, after: History, within: bool) -> _Measured:
    """The ends of two trainings; within one, the highest that a number was stands for its beginning."""

    def change(old: list[float], new: list[float]) -> Change | None:
        if not old or not new:
            return None
        return (max((one for one in old if not math.isnan(one)), default=math.nan) if within else old[-1]), new[-1]

    saliency: dict[str, Change] = {}
    probes: dict[str, Change] = {}
    for row in after.panel:
        name = row["attribution"]
        shares = change(*(list(one.series(name, "spurious_saliency").values()) for one in (before, after)))
        if shares is not None:
            (probes if row["probe"] else saliency)[name] = shares
    # On the validation data where SaliencyMetrics measured it there, or else on the panel.
    stage = "val" if all(_logged(one, "val/reliance") for one in (before, after)) else "panel"
    kinds = {kind: change(*(_logged(one, f"{stage}/reliance_{kind}") for one in (before, after))) for kind in _WHEN}
    reliance = {kind: found for kind, found in kinds.items() if found is not None}
    accuracy = change(*(_logged(one, "val/accuracy_under_intervention") for one in (before, after)))
    constant = any(_logged(after, f"{stage}/constant_predictions")[-1:])
    regression = bool(_logged(after, f"{stage}/output_spread"))
    return _Measured(saliency, probes, reliance, accuracy, constant, regression)


def _logged(history: History, name: str) -> list[float]:
    return [logged[name] for logged in history.curves.values() if name in logged]


def _changes(changes: Mapping[str, Change]) -> str:
    return ", ".join(f"{_percent(before)} → {_percent(after)} ({name})" for name, (before, after) in changes.items())


def _percent(share: float) -> str:
    if math.isnan(share):
        return "NaN"
    return f"{share:.1%}" if 0 < share < 0.01 else f"{share:.0%}"
