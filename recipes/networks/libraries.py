"""Libraries that some recipes need beside those of the others."""

from importlib.util import find_spec


def need(*libraries: str) -> None:
    """Refuse a recipe for language models one of whose libraries is missing, before anything is read or made.

    Raises:
        ValueError: It is not installed.
    """
    for library in libraries:
        if find_spec(library) is None:
            raise ValueError(f"The recipe needs {library}: pip install 'salreg[llm]'.")
