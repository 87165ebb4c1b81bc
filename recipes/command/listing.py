"""``salreg ls`` and ``salreg cp``: list the recipes and copy their YAML files."""

import argparse
import shlex
import shutil
from pathlib import Path

from salreg.recipes.training.packaged import describe, locate, recipes


def ls(_: argparse.Namespace) -> None:
    """Print each recipe's name and description."""
    known = recipes()
    width = max(map(len, known))
    for name, path in known.items():
        print(f"{name:{width}}  {describe(path)}")


def cp(options: argparse.Namespace) -> None:
    """Copy a recipe's YAML.

    Raises:
        ConfigError: There is no such recipe.
        FileExistsError: The destination exists already.
        FileNotFoundError: The destination's folder does not exist.
    """
    source = locate(options.recipe)
    destination: Path = options.destination
    if destination.is_dir():
        destination /= source.name
    if destination.exists():
        raise FileExistsError(f"{destination} exists already; nothing was written.")
    if not destination.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {destination.parent} to copy to.")
    shutil.copyfile(source, destination)
    print(f"Copied to {destination}. Edit it, then: salreg run {shlex.quote(str(destination))}")
