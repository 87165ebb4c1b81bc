"""The content of files written by people and tools, in any encoding."""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from salreg.readers.optional import optional

_known: ContextVar[dict[str, Any] | None] = ContextVar("_known", default=None)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_text(path: str | Path) -> str:
    """Read a text file: as UTF-8, as UTF-16 if its first bytes say so, or else in the western encoding of Windows.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not text; the message names the file.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "a.csv")
        >>> _ = open(path, "wb").write("Maß".encode("utf-16"))
        >>> read_text(path)
        'Maß'
    """
    raw = Path(path).read_bytes()
    encodings = [name for mark, name in _MARKS if raw.startswith(mark)] or ["utf-8", "cp1252"]
    for encoding in encodings:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            raise ValueError(f"{path} is not a text file, or damaged: it holds a NUL character.")
        return text
    raise ValueError(f"{path} is not a text file: it is neither UTF-8, UTF-16 nor Windows-1252.")


def read_json(path: str | Path) -> Any:
    """A JSON file's content.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is empty, not JSON, or nested too deeply; the message names the file.
    """
    known = _known.get()
    if known is not None and str(path) in known:
        return known[str(path)]
    text = read_text(path)
    if not text.strip():
        raise ValueError(f"{path} is empty.")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON, or is cut off: {error}.") from error
    except (RecursionError, ValueError) as error:  # depth; whole numbers of thousands of digits
        raise ValueError(f"{path} cannot be read as JSON: {type(error).__name__}.") from error
    if known is not None:
        known[str(path)] = content
    return content


@contextmanager
def read_once() -> Iterator[None]:
    """What ``read_json`` reads within is kept and given again, so that a file is not read twice to know its format."""
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def read_json_lines(path: str | Path) -> list[tuple[int, Any]]:
    """The lines of a JSONL file with their numbers, from 1; None stands for a line that is no JSON."""
    found: list[tuple[int, Any]] = []
    for number, line in enumerate(read_text(path).split("\n"), 1):  # texts may hold other ends of lines
        if line.strip():
            try:
                found.append((number, json.loads(line)))
            except (ValueError, RecursionError):
                found.append((number, None))
    return found


def read_xml(path: str | Path) -> Any:
    """An XML file's root. Needs ``defusedxml``: entities and references to other files are refused.

    Raises:
        FileNotFoundError: There is no such file.
        ModuleNotFoundError: defusedxml is not installed.
        ValueError: It is no XML, or has an entity in it; the message names the file.
    """
    defusedxml, tree = optional("defusedxml", "cvat"), optional("defusedxml.ElementTree", "cvat")
    try:
        return tree.parse(str(path)).getroot()
    except (tree.ParseError, defusedxml.DefusedXmlException, ValueError, LookupError) as error:
        raise ValueError(f"{path} is not readable XML: {type(error).__name__} {error}.") from error


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects in a list of a JSON; none where it is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def read_table(path: str | Path, verbatim: bool = False) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """A table's columns, and its rows by column with the number of their line; separated by commas, semicolons, tabs or bars.

    Args:
        path: The file.
        verbatim: Keep the spaces before a field.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It has no header, or a field of more than 128 KiB; the message names the file.
    """
    text = read_text(path).lstrip("\r\n")
    said = re.match(r"sep=(.)\r?\n", text)  # Excel's
    text = text[said.end() :] if said else text
    header = text.partition("\n")[0]
    separator = said[1] if said else max(",;\t|", key=header.count)
    csv.field_size_limit(1 << 17)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=not verbatim)
        lines = [(reader.line_num, line) for line in reader if any(field.strip() for field in line)]
    except csv.Error as error:
        raise ValueError(f"{path} is not a table: {error}.") from error
    if not lines:
        raise ValueError(f"{path} is empty.")
    columns = [name.strip() for name in lines[0][1]]
    return columns, [(number, dict(zip(columns, line, strict=False))) for number, line in lines[1:]]
