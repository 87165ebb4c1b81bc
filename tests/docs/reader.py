"""Follows a page of the documentation as its reader does: block by block, in order."""

import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from salreg.recipes.command.cli import main

DOCS = Path(__file__).parents[2] / "docs"
_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.M | re.S)
_FILES = ("python", "yaml", "json", "csv")


class Block(NamedTuple):
    """A block of code of a page: its language, the name of the file that it is, and what it says."""

    language: str
    title: str
    code: str


def blocks(page: str) -> list[Block]:
    """The blocks of ``docs/<page>``; one with a title is a file."""
    text = (DOCS / page).read_text("utf-8")
    return [Block(language, _title(rest), code) for language, rest, code in _FENCE.findall(text)]


def _title(rest: str) -> str:
    found = re.search(r'title="([^"]+)"', rest)
    return found.group(1) if found else ""


def follow(page: str, names: dict[str, Any] | None = None, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Write its files, run its Python in one namespace, and its commands in this process, where that is quicker.

    Args:
        page: Below ``docs``.
        names: What the namespace holds at first.
        overrides: What is added to ``salreg run`` and ``salreg compare``, to make them short.

    Returns:
        The namespace.
    """
    names = {"__name__": "page"} | (names or {})
    for number, (language, title, code) in enumerate(blocks(page), start=1):
        if title and language in _FILES:
            Path(title).parent.mkdir(parents=True, exist_ok=True)
            Path(title).write_text(code, "utf-8")
        elif language == "python":
            exec(compile(code, f"{page}, block {number}", "exec"), names)
        elif language == "bash":
            for line in code.replace("\\\n", " ").splitlines():
                command(line, overrides)
    return names


def command(line: str, overrides: Sequence[str] = ()) -> None:
    """Do what a line of a shell does."""
    words = shlex.split(line, comments=True)
    if not words or words[:2] == ["pip", "install"]:
        return
    if words[0] == "salreg":
        more = overrides if words[1] in ("run", "compare") else ()
        assert main([*words[1:], *more]) == 0, line
    elif words[0] == "cd":
        os.chdir(words[1])
    elif words[0] == "python":
        _script(words[1:])
    else:
        subprocess.run(line, shell=True, check=True)


def _script(arguments: list[str]) -> None:
    """Run a script as ``__main__``, with its folder's modules at hand, and forget these."""
    before, folder = set(sys.modules), str(Path(arguments[0]).resolve().parent)
    argv, sys.argv = sys.argv, arguments
    sys.path.insert(0, folder)
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    finally:
        sys.argv = argv
        sys.path.remove(folder)
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(folder):
                del sys.modules[name]
