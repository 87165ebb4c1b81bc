"""YOLO's text files of boxes and segments, a file for each image."""

import re
from collections.abc import Mapping
from pathlib import Path

from salreg.readers.checked import corner_box, numbers, polygon
from salreg.readers.content import read_text
from salreg.readers.folders import parsed, single_files
from salreg.readers.problems import BadShape
from salreg.readers.reading import Reading, Readings
from salreg.readers.regions import Side
from salreg.readers.shapes import Shape

_NOT_LABELS = ("classes.txt", "obj.names", "train.txt", "val.txt", "test.txt", "readme.txt", "notes.txt", "requirements.txt")


def read_yolo(path: str | Path, labels: Mapping[str, Side], *, strict: bool = False) -> Readings:
    """Read regions by image name from a file of YOLO's or a folder of them.

    Every image with a file was looked at; in an empty one, nothing is marked. A line is a class and the centre, width and
    height of a box, or a class and the corners of a segment, as fractions of the image.

    Args:
        path: The text file, or the folder. A ``classes.txt`` or ``data.yaml`` in it, or beside it, has the classes' names.
        labels: Which classes are ``spurious`` and which ``relevant``, by name or number; others are ignored.
        strict: Whether a line without a clear meaning raises an error instead of being skipped, named and counted.

    Raises:
        FileNotFoundError: There is no such file, or no text in the folder.
        ValueError: No such text, or a class that no line has.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "003.txt")
        >>> _ = open(path, "w").write("0 0.5 0.5 1 1\\n")
        >>> read_yolo(path, {"0": "spurious"})["003"].draw((1, 2)).tolist()
        [[[-1, -1]]]
    """
    reading, names = Reading(path, labels, strict), class_names(Path(path))
    files = [(file, folder) for file, folder in single_files(path, ".txt") if file.name.lower() not in _NOT_LABELS]
    known = set(names)
    for file, folder, text in parsed(reading, files, read_text):
        image = reading.image(f"{folder}/{file.stem}")
        for number, written in enumerate(text.splitlines(), 1):
            if not written.strip():
                continue
            first, *values = written.split()
            label = names[int(first)] if first.isdecimal() and len(first) < 9 and int(first) < len(names) else first
            known |= {label, first}
            wanted = [one for one in {label, first} if reading.sides is not None and one in reading.sides]
            reading.mark(image, wanted or label, f"in line {number}", _shape, values)
    return reading.finish(sorted(known))


def class_names(path: Path) -> list[str]:
    """The names of the classes by number, from a file beside the labels; none where there is none."""
    folder = path if path.is_dir() else path.parent
    for near in (folder, folder.parent):
        for name in ("classes.txt", "obj.names"):
            if (near / name).is_file():
                return [line.strip() for line in read_text(near / name).splitlines() if line.strip()]
        for name in ("data.yaml", "dataset.yaml"):
            if (near / name).is_file():
                return _names_of_yaml(read_text(near / name))
    return []


def _names_of_yaml(text: str) -> list[str]:
    """The names of a data.yaml: in brackets or in lines, which may begin with their number."""
    text = re.sub(r"(^|\s)#[^\n]*", "", text)
    found = re.search(r"^names:[ \t]*(\[[^\]]*\]|\{[^}]*\}|(?:\r?\n[ \t]*(?:-|\d+:)[^\n]*)+)", text, re.MULTILINE)
    if not found:
        return []
    parts = found[1].strip("[]{}").split(",") if found[1][0] in "[{" else found[1].strip().splitlines()
    return [re.sub(r"^\s*(-|\d+:)?\s*", "", part).strip().strip("'\"") for part in parts]


def _shape(values: list[str]) -> Shape:
    found = numbers(values)
    if any(not -0.1 <= value <= 1.1 for value in found):
        raise BadShape("no fraction", f"{' '.join(values[:4])} are not fractions of the image")
    if len(found) in (4, 5):  # perhaps with a confidence
        x, y, width, height = found[:4]
        return corner_box(x - width / 2, y - height / 2, width, height, fractions=True)
    if len(found) < 6 or len(found) % 2:
        raise BadShape("malformed", f"a line has {len(found)} numbers after its class; a box has 4, a segment 6, 8, 10, ...")
    return polygon(found, fractions=True)
