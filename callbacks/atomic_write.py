"""Writes files atomically: a file is complete or absent, whatever happens, and private to its owner."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".unfinished"
_UNFINISHED = re.compile(r"\..+\.[a-z0-9_]{8}" + re.escape(_SUFFIX))


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which replaces ``path`` at the end; an earlier file stays intact until then.

    The temporary name is unpredictable, and nothing that exists there is followed or overwritten; a link at ``path`` is
    replaced, not followed. A new file is readable only by its owner (mode 0600, minus the umask); one that replaces another
    keeps its permissions, so a file stays shared once it was shared.

    Raises:
        OSError: The folder cannot be created or written to.

    Example:
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "numbers.txt"
        >>> with atomic_write(path) as unfinished:
        ...     _ = unfinished.write_text("1 2 3")
        >>> path.read_text()
        '1 2 3'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = mkstemp(prefix=f".{path.name}.", suffix=_SUFFIX, dir=path.parent)  # exclusive, and follows no link
    unfinished = Path(name)
    try:
        with _locked(descriptor):
            yield unfinished
            if path.is_file() and not path.is_symlink():
                unfinished.chmod(path.stat().st_mode & 0o777)
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def remove_unfinished(root: Path) -> list[Path]:
    """Remove unfinished files that killed processes left below a folder, but none that is being written.

    Args:
        root: Links below it are not followed.

    Returns:
        The removed files.

    Example:
        >>> remove_unfinished(Path("no folder"))
        []
    """
    removed = []
    for folder, _, names in os.walk(root):
        for path in (Path(folder, name) for name in names if _UNFINISHED.fullmatch(name)):
            with suppress(OSError):
                if not path.is_symlink() and _is_left(path):
                    path.unlink()
                    removed.append(path)
    return removed


@contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    """Hold a lock until the end, however that comes: what is not locked any more, nobody is writing."""
    if fcntl is None:
        os.close(descriptor)  # an open file cannot be renamed there
        yield
        return
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_left(path: Path) -> bool:
    """Whether nobody holds the lock of a file any more; False where there are no locks.

    Raises:
        OSError: It is being written, or cannot be opened or locked.
    """
    if fcntl is None:
        return False
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True
