"""Snapshots without what no test looks at: plotly.js, 5 MB in each page, and three of four draws behind a panel's reliance."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from salreg.callbacks import observation

PAGE = importlib.import_module("salreg.plotting.report")  # its package has a function of that name
#: Stands for plotly.js, as far as the page calls it.
NO_CHARTS = "window.Plotly = { react() {}, Plots: { resize() {} } }"
_LIBRARY, _ROUNDS = PAGE._charts_library, observation._ROUNDS


@contextmanager
def less(library: Callable[[], str] = lambda: NO_CHARTS, rounds: int = 1) -> Iterator[None]:
    """Draw less inside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PAGE, "_charts_library", library)
        patch.setattr(observation, "_ROUNDS", rounds)
        yield


@contextmanager
def all_of_it() -> Iterator[None]:
    """Draw everything inside, as for users."""
    with less(_LIBRARY, _ROUNDS):
        yield
