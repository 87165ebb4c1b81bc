"""What the callbacks share: a base class of whichever Lightning package the user has imported."""

import sys

import pytorch_lightning as pl


def _bases() -> tuple[type, ...]:
    """The Callback classes of both packages, as far as they are imported: each package's command line asks for its own."""
    other = sys.modules.get("lightning.pytorch")
    return (pl.Callback,) if other is None else (pl.Callback, other.Callback)


class Callback(*_bases()):  # type: ignore[misc]
    """A callback that gets annotated batches as they are; all others get the plain sample."""
