"""Libraries that only some recipes need."""

from importlib.util import find_spec


def need(*libraries: str) -> None:
    """Refuse a recipe for language models if its library is missing, before anything is read or created.

    Raises:
        ValueError: The library is not installed.
    """
    for library in libraries:
        if find_spec(library) is None:
            raise ValueError(f"The recipe needs {library}: pip install 'salreg[llm]'.")
