"""Generated samples of data sets that are stored in files."""

import atexit
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path


@functools.cache
def made(make: Callable[[Path], object]) -> Path:
    """A folder that ``make`` filled; this process shares it between trainings and deletes it at its end."""
    folder = tempfile.TemporaryDirectory(prefix="salreg-")
    atexit.register(folder.cleanup)
    make(Path(folder.name))
    return Path(folder.name)
