"""Says in words what happened to a model's use of the spurious region, and what to do next."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from salreg.advice import advice

Change = tuple[float, float]

_USES = 0.05  # of the predictions change
_FALLS = 0.03  # of the accuracy
_POINTS = 2.0  # times a uniform map's share: edges in and around a region alone give a probe more than that share
_WHEN = {
    "content": "when the region shows another sample's content",
    "removal": "when the marked feature is removed",
    "insertion": "when the marked feature is inserted into samples without it",
}
#: What reliance is measured by, in the order in which it is told.
KINDS = tuple(_WHEN)


@dataclass(frozen=True)
class Verdict:
    """What happened, in at most three sentences.

    Attributes:
        measured: The two states compared, and their numbers with arrows between them.
        conclusion: What the numbers mean.
        advice: What to do next.
    """

    measured: str = ""
    conclusion: str = ""
    advice: str = ""

    def __bool__(self) -> bool:
        return bool(self.conclusion)

    def __str__(self) -> str:
        return f"{self.measured}: {self.conclusion}. {self.advice}" if self else ""


def verdict(
    saliency: Mapping[str, Change],
    probes: Mapping[str, Change],
    reliance: Mapping[str, Change],
    accuracy: Change | None = None,
    constant: bool = False,
    regression: bool = False,
    *,
    between: str = "",
    accuracy_name: str = "accuracy under intervention",
    distrusted: Sequence[str] = (),
    area: float = 0.0,
) -> Verdict:
    """Say whether a change is real. Each change is a pair (before, after) of shares in [0, 1].

    Rules of thumb: a model uses the region if more than 5% of its predictions change under any of the measured interventions,
    or if its output moves by more than 5% of its spread; a map changed if its share on the marks fell to a half; a probe points
    at the region if its share did not fall that far and is more than twice that of a uniform map; an accuracy fell if it lost
    more than 3 points. A model that became less accurate, or that predicts one class, changes few predictions under any
    intervention: low reliance then says nothing.

    Args:
        saliency: The spurious saliency of the attributions that are regularised or drawn, by name.
        probes: The spurious saliency of attributions that are only measured, by name.
        reliance: The share of predictions that change, by intervention: ``content`` is the exchange of the feature's content,
            ``removal`` takes it out, ``insertion`` puts it into samples without it. Only those that were measured; NaN if
            predictions were NaN.
        accuracy: The accuracy, if it was measured.
        constant: Whether the model predicts one class for at least 98% of the samples, while the labels differ; or a regression
            returns the same for all.
        regression: Whether reliance is how far the output moves, in units of its spread, rather than a share of predictions.
        between: The names of the two states compared: ``epoch 1 → epoch 12``.
        accuracy_name: The name of that accuracy.
        distrusted: Probes that are left out, because the checks at the end speak against them.
        area: The share of a sample that is marked, which is the share of a uniform map on the marks.

    Returns:
        The verdict; an empty one, which is false, if nothing was marked as spurious.

    Example:
        >>> said = verdict(
        ...     {"input_gradient": (0.41, 0.02)},
        ...     {"grad_cam": (0.38, 0.03)},
        ...     {"content": (0.52, 0.01)},
        ...     between="plain → regularised",
        ... )
        >>> for part in said.measured.split(", "):
        ...     print(part)
        plain → regularised: spurious saliency 41% → 2% (input_gradient)
        probes 38% → 3% (grad_cam)
        reliance 52% → 1% (content)
        >>> print(said.conclusion)
        the model stopped using the region
        >>> print(verdict({"input_gradient": (0.4, 0.1)}, {}, {"content": (0.5, 0.0)}, accuracy=(0.9, 0.5)).conclusion)
        the accuracy under intervention fell from 90% to 50%, so low reliance says nothing about such a model
    """
    if not saliency:
        return Verdict()
    told = [f"spurious saliency {_changes(saliency)}"]
    if probes:
        told.append(f"probes {_changes(probes)}")
    if reliance:
        unit = " of the output's spread" if regression else ""
        told.append(f"reliance {_arrow(_worst(reliance))}{unit} ({', '.join(reliance)})")
    if accuracy is not None:
        told.append(f"{accuracy_name} {_arrow(accuracy)}")
    if distrusted:
        told.append(f"without {', '.join(distrusted)}, which the checks of the maps speak against")
    fallen = ""
    if accuracy is not None and round(accuracy[0] - accuracy[1], 9) > _FALLS:
        fallen = f"the {accuracy_name} fell from {_percent(accuracy[0])} to {_percent(accuracy[1])}"
    pointing = [name for name, change in probes.items() if not _fell(change) and change[1] > _POINTS * area]
    case, conclusion = _conclusion(saliency, pointing, reliance, constant, fallen, regression)
    return Verdict((f"{between}: " if between else "") + ", ".join(told), conclusion, advice(case))


def _conclusion(
    saliency: Mapping[str, Change],
    pointing: Sequence[str],
    reliance: Mapping[str, Change],
    constant: bool,
    fallen: str,
    regression: bool,
) -> tuple[str, str]:
    """The case, as named in ``advice``, and its wording."""
    before, after = _worst(reliance) if reliance else (0.0, 0.0)
    if math.isnan(before) or math.isnan(after):
        return "NaN", "predictions are NaN, so reliance says nothing"
    if constant:
        alike = "all outputs are the same" if regression else "nearly all predictions are one class"
        return "constant", f"{alike}, so reliance says nothing about such a model"
    if not reliance:
        return "unmeasured", "reliance was not measured, and a map that moves proves little"
    if after <= _USES:
        if fallen:
            return "fallen", f"{fallen}, so low reliance says nothing about such a model"
        return _unused(before, pointing)
    worst = max(reliance, key=lambda kind: reliance[kind][1])
    moves = f"the output moves by {_percent(after)} of its spread" if regression else f"{_percent(after)} of predictions change"
    cause = f"as {moves} {_WHEN[worst]}" + (f"; and {fallen}" if fallen else "")
    if _fell((before, after)):
        return worst, f"the model uses the region less, but still does, {cause}"
    if all(_fell(change) for change in saliency.values()):
        return "map only", f"the map changed but the behaviour did not, {cause}"
    return worst, f"the model uses the region, {cause}"


def _unused(before: float, pointing: Sequence[str]) -> tuple[str, str]:
    """The conclusion for a model that is as accurate as before and does not depend on the region; some probes may still point
    at it."""
    if before <= _USES:
        return "never", "predictions did not depend on the region, neither before nor after"
    if pointing:
        points = f"{' and '.join(pointing)} {'point' if len(pointing) > 1 else 'points'} at it as before"
        return "pointing", f"predictions no longer depend on the region, though {points}"
    return "stopped", "the model stopped using the region"


def _worst(reliance: Mapping[str, Change]) -> Change:
    """The largest before and after; NaN if one of them is."""
    before, after = (
        math.nan if any(map(math.isnan, values)) else max(values) for values in zip(*reliance.values(), strict=True)
    )
    return before, after


def _fell(change: Change) -> bool:
    return change[1] <= change[0] / 2


def _changes(changes: Mapping[str, Change]) -> str:
    return ", ".join(f"{_arrow(change)} ({name})" for name, change in changes.items())


def _arrow(change: Change) -> str:
    return f"{_percent(change[0])} → {_percent(change[1])}"


def _percent(share: float) -> str:
    if math.isnan(share):
        return "NaN"
    return f"{share:.1%}" if 0 < share < 0.01 else f"{share:.0%}"
