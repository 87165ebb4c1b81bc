"""A Lightning logger for trackio: a dashboard on one's own machine, without an account or a network."""

import argparse
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only


class TrackioLogger(Logger):
    """Logs numbers and pictures to trackio's local store. ``trackio show --project <project>`` serves them in a browser.

    Needs ``pip install trackio``. Where the store lies is trackio's to say: its environment variable ``TRACKIO_DIR``, or a
    cache folder of the user's.

    Args:
        project: What runs are listed together under.
        name: Of the run; trackio makes one up by default.
        config: Shown beside the run; nested mappings are allowed.

    Example:
        >>> trainer = pytorch_lightning.Trainer(logger=TrackioLogger("birds"))  # doctest: +SKIP
    """

    def __init__(self, project: str = "salreg", name: str | None = None, config: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._project, self._name, self._config = project, name, dict(config or {})
        self._run: Any = None

    @property
    def name(self) -> str:
        return self._project

    @property
    def version(self) -> str | None:
        return self._name

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The ``trackio.Run``, begun at the first use."""
        if self._run is None:
            import trackio

            with redirect_stdout(StringIO()):  # its advice, once for every run
                self._run = trackio.init(self._project, self._name, config=self._config, embed=False)
        return self._run

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Numbers, ``trackio.Image`` and whatever else trackio takes."""
        self.experiment.log(dict(metrics), step=step)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | argparse.Namespace, *args: Any, **kwargs: Any) -> None:
        """Part of the configuration, where the run has not begun."""
        if self._run is None:
            self._config |= vars(params) if isinstance(params, argparse.Namespace) else params

    @rank_zero_only
    def alert(self, text: str) -> None:
        """Show a word on the dashboard."""
        self.experiment.alert(title="salreg", text=text)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is pending. The run stays open: ``trainer.test`` goes on with it."""

    @rank_zero_only
    def finish(self) -> None:
        """End the run, so that the next one of this process is not taken for a part of it."""
        if self._run is not None:
            with redirect_stdout(StringIO()):
                self._run.finish()
            self._run = None
