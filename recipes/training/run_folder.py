"""One folder per run; nothing is ever overwritten."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from salreg.callbacks.atomic_write import remove_unfinished
from salreg.recipes.training.packaged import ConfigError


def create(parent: Path, name: str) -> Path:
    """Create and return ``parent/name/<time>``, with a number appended if the name is taken, even by a run started meanwhile.

    Partly written files that killed runs left below ``parent/name`` are removed.

    Raises:
        ConfigError: The folder cannot be created.
    """
    remove_unfinished(parent / name)
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    number = 1
    while True:
        folder = parent / name / (stamp if number == 1 else f"{stamp}_{number}")
        try:
            folder.mkdir(parents=True, exist_ok=False)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise ConfigError(
                f"out: the folder {folder} cannot be created ({error.strerror}). Choose another: out=..."
            ) from error
        else:
            return folder


@contextmanager
def made(parent: Path, name: str) -> Iterator[Path]:
    """A folder from ``create``; if the block fails before a file is written, no empty folder is left behind.

    Raises:
        ConfigError: The folder cannot be created.
    """
    there = next(one for one in (parent / name, *(parent / name).parents) if one.exists())
    folder = create(parent, name)
    try:
        yield folder
    except BaseException:
        _remove_empty(folder)
        for above in folder.parents:
            if above == there or any(above.iterdir()):
                break
            above.rmdir()
        raise


def _remove_empty(folder: Path) -> None:
    """Remove a folder's empty folders, and itself if nothing is left."""
    for inner in folder.iterdir():
        if inner.is_dir() and not inner.is_symlink():
            _remove_empty(inner)
    with suppress(OSError):
        folder.rmdir()
