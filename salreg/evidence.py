"""The numbers that a verdict rests on: from one training's history, or from two, before and after."""

import math
from collections.abc import Mapping
from typing import Any

from salreg.annotations import marks, places
from salreg.history import History
from salreg.verdict import KINDS, Change, Verdict, verdict

_UNDER_INTERVENTION = "val/accuracy_under_intervention"


def verdict_on_run(history: History) -> Verdict:
    """Compare the last trained epoch with the first, and its accuracy with the best of all trained epochs.

    The untrained epoch 0 is not a "before": what a random network relies on was not removed by training.
    """
    trained = _trained(history)
    epochs = sorted({row["epoch"] for row in trained.panel})
    between = f"epoch {epochs[0]} → epoch {epochs[-1]}" if len(epochs) > 1 else f"epoch {epochs[0]} alone" if epochs else ""
    accuracy = _accuracy(trained)
    return verdict(**_measured(trained, trained, at=0), **accuracy, between=between)


def verdict_on_runs(
    before: History,
    after: History,
    names: tuple[str, str] = ("plain", "regularised"),
    tested: tuple[Mapping[str, float], Mapping[str, float]] = ({}, {}),
) -> Verdict:
    """Compare how two trainings ended.

    The accuracy that counts is the one under intervention, on the test data or else on the validation data. Only if there is
    none does the plain accuracy on the test data count: if these carry the shortcut as the training data do, a model that no
    longer uses it is worse on them.

    Args:
        before: The history of the first training.
        after: The history of the second training.
        names: The names of the two.
        tested: The test results of both by name, such as ``test/accuracy``.
    """
    before, after = _trained(before), _trained(after)

    def on_test(name: str) -> Change | None:
        values = [float(one.get(f"test/{name}", math.nan)) for one in tested]
        return None if any(map(math.isnan, values)) else (values[0], values[1])

    found = {
        "test accuracy under intervention": on_test("accuracy_under_intervention"),
        "accuracy under intervention": _ends(_logged(before, _UNDER_INTERVENTION), _logged(after, _UNDER_INTERVENTION), -1),
        "test accuracy": on_test("accuracy"),
    }
    judged: dict[str, Any] = next(
        ({"accuracy_name": name, "accuracy": one} for name, one in found.items() if one is not None), {}
    )
    return verdict(**_measured(before, after, at=-1), **judged, between=f"{names[0]} → {names[1]}, at their ends")


def _measured(before: History, after: History, at: int) -> dict[str, Any]:
    """What ``verdict`` judges, except the accuracy. ``at``: the position in ``before`` that its numbers are taken from."""
    saliency: dict[str, Change] = {}
    probes: dict[str, Change] = {}
    distrusted: list[str] = []
    for name, probe in {row["attribution"]: row["probe"] for row in after.panel}.items():
        old, new = (list(one.series(name, "spurious_saliency").values()) for one in (before, after))
        shares = _ends(old, new, at)
        if shares is None:
            continue
        if probe and any(name in one.sanity and one.sanity[name].objections() for one in (before, after)):
            distrusted.append(name)
        else:
            (probes if probe else saliency)[name] = shares
    # On the validation data where SaliencyMetrics measured it there, or else on the panel.
    stage = "val" if all(_logged(one, "val/reliance") for one in (before, after)) else "panel"
    names = {kind: f"{stage}/reliance_{kind}" for kind in KINDS}
    kinds = {kind: _ends(_logged(before, name), _logged(after, name), at) for kind, name in names.items()}
    reliance = {kind: found for kind, found in kinds.items() if found is not None}
    constant = any(_logged(after, f"{stage}/constant_predictions")[-1:])
    return {
        "saliency": saliency,
        "probes": probes,
        "reliance": reliance,
        "constant": constant,
        "regression": bool(_logged(after, f"{stage}/output_spread")),
        "distrusted": distrusted,
        "area": _marked_area(after),
    }


def _marked_area(history: History) -> float:
    """The mean share of the panel's marked samples that is marked as spurious: the share of a uniform map there."""
    shares = [float(marks(one).spurious.sum() / places(one).sum()) for one in history.annotations if (one < 0).any()]
    return sum(shares) / len(shares) if shares else 0.0


def _accuracy(history: History) -> Mapping[str, Any]:
    """The best and the last accuracy of a training: under intervention, or else any that was logged on validation data."""
    logged = dict.fromkeys(name for values in history.curves.values() for name in values)
    plain = [name for name in logged if "acc" in name.lower() and "val" in name.lower() and name != _UNDER_INTERVENTION]
    for name in (_UNDER_INTERVENTION, *plain):
        values = [value for value in _logged(history, name) if not math.isnan(value)]
        if values:
            words = "accuracy under intervention" if name == _UNDER_INTERVENTION else name
            return {"accuracy": (max(values), _logged(history, name)[-1]), "accuracy_name": words}
    return {}


def _ends(old: list[float], new: list[float], at: int) -> Change | None:
    return (old[at], new[-1]) if old and new else None


def _trained(history: History) -> History:
    """The same history from the first trained epoch that was drawn."""
    panel = [row for row in history.panel if row["epoch"] > 0]
    first = min((row["epoch"] for row in panel), default=1)
    curves = {epoch: logged for epoch, logged in sorted(history.curves.items()) if epoch >= first}
    return History(annotations=history.annotations, panel=panel, curves=curves, sanity=history.sanity)


def _logged(history: History, name: str) -> list[float]:
    return [logged[name] for logged in history.curves.values() if name in logged]
