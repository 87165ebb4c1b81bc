"""``salreg keys``: explains the keys of a group of a recipe's YAML with the docstring of the constructor that receives them."""

import argparse
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from salreg.recipes.training.config import PASSED_TO, arguments

_WIDTH = 100


def keys(options: argparse.Namespace) -> None:
    """Print each key of a group with its default and its meaning."""
    made, _ = PASSED_TO[options.group]
    texts = dict(_described(f"{inspect.getdoc(made)}\n{inspect.getdoc(vars(made)['__init__'])}"))
    known = arguments(options.group)
    print(f"{options.group}: the arguments of {made.__module__.partition('.')[0]}'s {made.__name__}\n")
    for name, parameter in inspect.signature(made).parameters.items():
        if name in known:
            print(f"{options.group}.{name}={_default(parameter.default)}")
            if name in texts:
                print(textwrap.fill(texts[name], _WIDTH, initial_indent="    ", subsequent_indent="    "))


def _default(value: Any) -> str:
    """A default value as YAML writes it."""
    return "" if value is inspect.Parameter.empty else value if isinstance(value, str) else json.dumps(value)


def _described(doc: str) -> Iterator[tuple[str, str]]:
    """The arguments that a docstring in Google's style describes, each with its description in one line."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n|\n)*)", f"{doc}\n", re.MULTILINE)
    entries = textwrap.dedent(section.group(1)) if section else ""
    for name, text in re.findall(r"^(\w+):\s*((?:.*\n)(?:[ \t]+.*\n|\n)*)", f"{entries}\n", re.MULTILINE):
        yield name, " ".join(text.replace("``", "").split())
