"""The base class of the callbacks, for whichever Lightning package the user has imported."""

import sys

import pytorch_lightning as pl


def _bases() -> tuple[type, ...]:
    """The Callback classes of the imported packages, because each package's command line expects its own."""
    other = sys.modules.get("lightning.pytorch")
    return (pl.Callback,) if other is None else (pl.Callback, other.Callback)


class Callback(*_bases()):  # type: ignore[misc]
    """A callback that gets annotated batches; all other callbacks get the plain sample."""
