"""Whether a user's class overrides a method of Lightning's, of whichever of its two packages."""

from typing import Any

_LIGHTNING = ("pytorch_lightning", "lightning")


def overrides(owner: Any, name: str) -> bool:
    """Whether an object has a method of its own under a name that Lightning calls.

    Example:
        >>> import pytorch_lightning as pl
        >>> overrides(pl.LightningModule(), "training_step")
        False
    """
    method = getattr(type(owner), name, None)
    return callable(method) and getattr(method, "__module__", "").partition(".")[0] not in _LIGHTNING
