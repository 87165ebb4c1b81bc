"""Tab completion of verbs, recipes and keys in bash, zsh and fish, by argcomplete.

The shell runs ``salreg`` itself at each tab, which answers before any verb runs, so the recipes and keys are those of the
installed version.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from salreg.recipes.training import packaged

SHELLS = ("bash", "zsh", "fish")


def answer(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completions, and exit; do nothing if no shell asks."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)


def complete(action: argparse.Action, completer: Callable[..., list[str]]) -> None:
    """Let a function list the values of an argument."""
    action.completer = completer  # type: ignore[attr-defined]


def show(options: argparse.Namespace) -> None:
    """Print the code that the shell's start-up file evaluates."""
    import argcomplete

    print(argcomplete.shellcode(["salreg"], shell=options.shell))


def recipes(**_: Any) -> list[str]:
    """The names of all recipes, and the YAML files in the current folder."""
    from argcomplete.completers import FilesCompleter

    return [*packaged.recipes(), *FilesCompleter(("yaml", "yml"))("")]


def keys(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The keys of the recipe that was typed, each with its ``=``."""
    import yaml

    try:
        settings = yaml.safe_load(packaged.locate(parsed_args.recipe).read_text("utf-8"))
    except (packaged.ConfigError, OSError, yaml.YAMLError):
        return []
    return [f"{key}=" for key in _dotted(settings)]


def _dotted(settings: Mapping[str, Any]) -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, dict) and value and key != "arms":
            yield from (f"{key}.{inner}" for inner in _dotted(value))
        else:
            yield str(key)
