"""Libraries that come with an extra of salreg."""

import importlib
from typing import Any


def optional(module: str, extra: str) -> Any:
    """A module of a library that a plain install goes without.

    Raises:
        ModuleNotFoundError: It is not there; the message says how to install it.

    Example:
        >>> optional("json", "coco").loads("[1]")
        [1]
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{module.partition('.')[0]} is needed for this file and not installed: pip install 'salreg[{extra}]'."
        ) from error
