"""salreg: training-time salience regularisation.

Annotate what a model must not use, and train it not to. The library imports only torch and torchmetrics, and only when one of
its names is first used. The Lightning callbacks are in ``salreg.callbacks``, the runnable trainings in ``salreg.recipes``.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from salreg import annotations, attributions, losses, presets, scores
    from salreg.data import AnnotatedDataset
    from salreg.penalties import DeadPenaltyError, SaliencyPenalty

__all__ = [
    "AnnotatedDataset",
    "DeadPenaltyError",
    "SaliencyPenalty",
    "annotations",
    "attributions",
    "losses",
    "presets",
    "scores",
]
_DEFINED_IN = {
    "AnnotatedDataset": "salreg.data",
    "DeadPenaltyError": "salreg.penalties",
    "SaliencyPenalty": "salreg.penalties",
}


def __getattr__(name: str) -> Any:
    """A public name or a module when it is first used, so that ``salreg --help`` need not import torch."""
    if name in _DEFINED_IN:
        return getattr(import_module(_DEFINED_IN[name]), name)
    if name.startswith("_") or find_spec(f"salreg.{name}") is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"salreg.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
