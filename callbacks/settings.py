"""What the callbacks may be told: checked when they are made, not in the middle of a training."""

import inspect
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salreg import checks, registry
from salreg.interventions import Intervention


def check_regularizer(given: Mapping[str, Any]) -> None:
    """The arguments of a ``SaliencyRegularizer`` by name.

    Raises:
        TypeError: One of another type.
        ValueError: One out of range, or an unknown name; the nearest are suggested.

    Example:
        >>> check_regularizer({"every_n_steps": 1.5})
        Traceback (most recent call last):
        TypeError: every_n_steps must be a whole number of at least 1, not 1.5.
    """
    checks.number("[0, inf)", or_none=True, weight=given.get("weight"))
    checks.whole(1, every_n_steps=given.get("every_n_steps", 1))
    checks.whole(0, warmup_steps=given.get("warmup_steps", 0))
    checks.whole(1, or_none=True, max_samples=given.get("max_samples"))
    checks.flag(compile=given.get("compile", False))
    checks.text(name=given.get("name", "salreg"))
    if isinstance(given.get("intervene"), Mapping):
        registry.options("intervene", given["intervene"], inspect.signature(Intervention).parameters)
    _check_places(given)


def check_metrics(given: Mapping[str, Any]) -> None:
    """The arguments of ``SaliencyMetrics`` by name; errors as in ``check_regularizer``."""
    checks.whole(1, chunk_size=given["chunk_size"], groups=given["groups"])
    checks.whole(1, or_none=True, max_batches=given["max_batches"])
    checks.flag(rationale=given["rationale"])
    _check_key("group", given["group"])
    _check_places(given)


def check_snapshots(given: Mapping[str, Any]) -> None:
    """The arguments of ``SaliencySnapshots`` by name; errors as in ``check_regularizer``."""
    checks.whole(1, panel=given["panel"], every_n_epochs=given["every_n_epochs"])
    checks.several("attributions", or_none=True, attributions=given["attributions"], probes=given["probes"])
    checks.several("names", or_none=True, class_names=given["class_names"])
    checks.flag(sanity=given["sanity"])
    if given["attributions"] is not None and not given["attributions"]:
        raise ValueError("attributions must be a list of at least one attribution, or None for those that are regularised.")
    if not isinstance(given["dir"], str | Path | None):
        raise TypeError(f"dir must be a folder's path or None, not {checks.said(given['dir'])}.")
    _check_places(given)


def check_alerts(limits: object) -> None:
    """Limits by name.

    Example:
        >>> check_alerts({"reliance": "high"})
        Traceback (most recent call last):
        TypeError: alerts: reliance must be a finite number, not the text 'high'.
    """
    if not isinstance(limits, Mapping):
        raise TypeError(f"alerts must be a mapping from name to limit, such as {{'reliance': 0.2}}, not {checks.said(limits)}.")
    for name, limit in limits.items():
        checks.text(**{"the name of an alert": name})
        checks.number("(-inf, inf)", **{f"alerts: {name}": limit})


def _check_places(given: Mapping[str, Any]) -> None:
    """What says where something is in the batch or the module."""
    for name in ("input", "forward_module", "embedding"):
        checks.text(or_none=True, **{name: given.get(name)})
    if given.get("link") is not None:
        checks.choice(("softmax", "sigmoid", "regression"), link=given["link"])
    _check_key("target", given.get("target"))


def _check_key(name: str, key: object) -> None:
    if not isinstance(key, str):
        try:
            checks.whole(-math.inf, or_none=True, **{name: key})
        except TypeError:
            raise TypeError(f"{name} must be a mapping's key, a tuple's position, or None, not {checks.said(key)}.") from None
