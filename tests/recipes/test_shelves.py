"""The folders of recipes/ are its architecture."""

import re
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"
SHELVES = ("command", "training", "experiments", "networks", "data")


@pytest.mark.parametrize("shelf", SHELVES)
def test_a_shelf_imports_only_those_behind_it(shelf):
    source = "\n".join(path.read_text("utf-8") for path in (RECIPES / shelf).rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:from|import) salreg\.recipes\.(\w+)", source, re.MULTILINE))
    assert imported <= set(SHELVES[SHELVES.index(shelf) :])


def test_nothing_lies_beside_the_shelves():
    assert {path.name for path in RECIPES.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()} == {
        "__init__.py",
        *SHELVES,
    }
