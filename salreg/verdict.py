"""What happened to a model's use of the spurious region, in words."""

import math
from collections.abc import Mapping

from salreg.plotting.history import History

Change = tuple[float, float]

_USES = 0.05  # of the predictions change


def verdict(saliency: Mapping[str, Change], probes: Mapping[str, Change], reliance: Change | None) -> str:
    """Say whether a change is real. Each change is what was before and after, a share in [0, 1].

    Rules of thumb: a model uses the region while more than 5% of its predictions change with it; a map changed when its
    share on the marks fell to a half.

    Args:
        saliency: The spurious saliency of what is regularised, or drawn, by name.
        probes: That of attributions that are only watched.
        reliance: The share of predictions that change when the region is replaced; None where it was not measured.

    Returns:
        One line; empty where nothing was marked as spurious.

    Example:
        >>> words = verdict({"input_gradient": (0.41, 0.02)}, {"grad_cam": (0.38, 0.03)}, (0.52, 0.01))
        >>> for part in words.split(": "):
        ...     print(part)
        spurious saliency 41% → 2% (input_gradient), probes 38% → 3% (grad_cam), reliance 52% → 1%
        the model stopped using the region
        >>> verdict({"input_gradient": (0.41, 0.02)}, {}, (0.52, 0.49))
        'spurious saliency 41% → 2% (input_gradient), reliance 52% → 49%: the map changed and the behaviour did not'
    """
    if not saliency:
        return ""
    told = [f"spurious saliency {_changes(saliency)}"]
    if probes:
        told.append(f"probes {_changes(probes)}")
    if reliance is None:
        return ", ".join(told) + "; reliance was not measured"
    told.append(f"reliance {_percent(reliance[0])} → {_percent(reliance[1])}")
    return f"{', '.join(told)}: {_conclusion(saliency, probes, reliance)}"


def verdict_on_run(history: History) -> str:
    """Compare the end of a training with what was worst during it."""
    return verdict(*(_changes_of(history, history, from_worst=True)))


def verdict_on_runs(before: History, after: History) -> str:
    """Compare how two trainings ended."""
    return verdict(*(_changes_of(before, after, from_worst=False)))


def _conclusion(saliency: Mapping[str, Change], probes: Mapping[str, Change], reliance: Change) -> str:
    before, after = reliance
    pointing = [name for name, change in probes.items() if not _fell(change)]
    if after <= _USES and before <= _USES:
        return "predictions did not depend on the region"
    if after <= _USES and pointing:
        return f"predictions no longer depend on the region, though {', '.join(pointing)} points at it as before"
    if after <= _USES:
        return "the model stopped using the region"
    if _fell(reliance):
        return "the model uses the region less, but still does"
    if all(_fell(change) for change in saliency.values()):
        return "the map changed and the behaviour did not"
    return "the model uses the region"


def _fell(change: Change) -> bool:
    return change[1] <= change[0] / 2


def _changes_of(
    before: History, after: History, from_worst: bool
) -> tuple[dict[str, Change], dict[str, Change], Change | None]:
    saliency: dict[str, Change] = {}
    probes: dict[str, Change] = {}
    for row in after.panel:
        name = row["attribution"]
        old = list(before.series(name, "spurious_saliency").values())
        new = list(after.series(name, "spurious_saliency").values())
        if old and new:
            (probes if row["probe"] else saliency)[name] = (max(old) if from_worst else old[-1], new[-1])
    old, new = _reliance(before), _reliance(after)
    return saliency, probes, ((max(old) if from_worst else old[-1], new[-1]) if old and new else None)


def _reliance(history: History) -> list[float]:
    """On the validation data where SaliencyMetrics measured it there, or else on the panel."""
    for name in ("val/reliance", "panel/reliance"):
        values = [logged[name] for logged in history.curves.values() if math.isfinite(logged.get(name, math.nan))]
        if values:
            return values
    return []


def _changes(changes: Mapping[str, Change]) -> str:
    return ", ".join(f"{_percent(before)} → {_percent(after)} ({name})" for name, (before, after) in changes.items())


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 0.01 else f"{share:.0%}"
