"""Made samples of data sets that lie in files."""

import atexit
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path


@functools.cache
def made(make: Callable[[Path], object]) -> Path:
    """A folder that ``make`` filled: one for all trainings of this process, gone with it."""
    folder = tempfile.TemporaryDirectory(prefix="salreg-")
    atexit.register(folder.cleanup)
    make(Path(folder.name))
    return Path(folder.name)
