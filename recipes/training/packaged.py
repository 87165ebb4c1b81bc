"""The packaged recipes by name, found without importing the modules that train them."""

from importlib.resources import files
from pathlib import Path

from salreg.names import nearest
from salreg.recipes.data.paths import nearest_path


class ConfigError(ValueError):
    """A recipe, key or value that does not exist."""


def recipes() -> dict[str, Path]:
    """The YAML file of each recipe by name."""
    folder = Path(str(files("salreg.configs")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def describe(path: Path) -> str:
    """The first line of a YAML's header comment."""
    return path.read_text("utf-8").splitlines()[0].lstrip("# ")


def locate(recipe: str) -> Path:
    """The YAML file of a recipe's name, or the given file.

    Raises:
        ConfigError: There is neither such a recipe nor such a file.
    """
    known = recipes()
    if recipe in known:
        return known[recipe]
    path = Path(recipe)
    is_file = recipe.endswith((".yaml", ".yml")) or "/" in recipe
    if is_file and path.is_file():
        return path
    if is_file:
        raise ConfigError(
            f"No recipe is called {recipe!r}, and there is no such file{nearest_path(path)}. "
            f"The recipes are: {', '.join(known)}."
        )
    if path.is_file():
        raise ConfigError(f"No recipe is called {recipe!r}, and your own file must end in .yaml.")
    raise ConfigError(f"No recipe is called {recipe!r}{nearest(recipe, known)}. There are: {', '.join(known)}.")
