"""Folders with a file of annotations for each image."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from salreg.readers.reading import Reading
from salreg.readers.regions import files_below


def single_files(path: str | Path, suffix: str) -> list[tuple[Path, str]]:
    """The files of that suffix with their folder below the path: the path itself, or what lies below it.

    Raises:
        FileNotFoundError: There is none.
    """
    path = Path(path)
    if path.is_file():
        return [(path, "")]
    if not path.is_dir():
        raise FileNotFoundError(f"There are no annotations at {str(path)!r}.")
    found = [(path / one, one.parent.as_posix()) for one in files_below(path) if one.suffix.lower() == suffix]
    if not found:
        raise FileNotFoundError(f"The folder {str(path)!r} holds no annotations (*{suffix}).")
    return found


def parsed(reading: Reading, files: list[tuple[Path, str]], parse: Callable[[Path], Any]) -> Iterator[tuple[Path, str, Any]]:
    """The files with their folders and what ``parse`` makes of them; one that cannot be read does not end the others.

    Raises:
        ValueError: None of them can be read.
    """
    errors: list[ValueError] = []
    for file, folder in files:
        try:
            content = parse(file)
        except ValueError as error:
            errors.append(error)
            continue
        yield file, folder, content
    if errors and len(errors) == len(files):
        raise errors[0]
    for one in errors:
        reading.skip("", "", "unreadable file", str(one).rstrip("."))
