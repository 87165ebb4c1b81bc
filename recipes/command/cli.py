"""Entry point of the ``salreg`` command.

A verb's module is imported when the verb is called, so that the help, the list of recipes and completions are fast.
"""

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from salreg.recipes.command.parser import parsed
from salreg.recipes.training.packaged import ConfigError

#: The extra of salreg that contains a library that may be missing.
_EXTRAS = {
    "PIL": "recipes", "kornia": "augmentation", "pooch": "recipes", "sklearn": "recipes", "tensorboard": "tensorboard",
    "trackio": "recipes", "transformers": "transformers",
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code. A user's mistake prints one line instead of a traceback."""
    options = parsed(arguments)
    _quieten()
    module, _, function = options.verb.partition(":")
    try:
        getattr(import_module(f"salreg.recipes.command.{module}"), function)(options)
    except BrokenPipeError:  # `salreg ls | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ConfigError, ModuleNotFoundError, OSError) as error:
        print(f"salreg: {in_one_line(error)}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
        print("salreg: interrupted; everything written so far is kept.", file=sys.stderr)
        return 130
    return 0


def in_one_line(error: Exception) -> str:
    """What went wrong and, if it is known, what to do.

    Example:
        >>> in_one_line(PermissionError(13, "Permission denied", "runs"))
        'runs: Permission denied.'
        >>> in_one_line(ModuleNotFoundError("No module named 'sklearn'", name="sklearn"))
        "sklearn is not installed: pip install 'salreg[recipes]'."
    """
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        library = error.name.partition(".")[0]
        known = f"salreg[{_EXTRAS[library]}]" if library in _EXTRAS else library
        return f"{library} is not installed: pip install '{known}'."
    return " ".join(str(error).split("\n")) or type(error).__name__


def _quieten() -> None:
    """Silence Lightning's advertisements and its advice for large trainings, as recipes run on a laptop."""
    for message in (".*does not have many workers.*", ".*number of training batches.*", ".*LeafSpec.*"):
        warnings.filterwarnings("ignore", message)
    logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(_is_salregs)


def _is_salregs(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO or record.getMessage().startswith("salreg")
