"""What an error must be: salreg's own, and one that names what is wrong."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import salreg
from salreg import callbacks, recipes

_OURS = tuple(str(Path(str(package.__file__)).parent) for package in (salreg, callbacks, recipes))


def refused(call: Callable[[], Any], *words: str) -> str:
    """Assert that a call fails with an error that salreg raised itself and that holds these words; return what it says."""
    try:
        result = call()
    except Exception as error:
        said, raised_in = str(error.args[0]) if error.args else "", traceback.extract_tb(error.__traceback__)[-1].filename
        assert raised_in.startswith(_OURS), f"a bare {type(error).__name__} from {raised_in}: {said}"  # noqa: PT017
        assert isinstance(error, ValueError | TypeError | KeyError | OSError | RuntimeError), type(error)  # noqa: PT017
        missing = [word for word in words if word not in said]
        assert not missing, f"{said!r} does not say {missing}"
        return said
    raise AssertionError(f"Accepted without a word: {result!r}")
