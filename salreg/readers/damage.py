"""Damaged files, whatever a library makes of them."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def as_os_error(what: str) -> Iterator[None]:
    """Errors of a library within, or within a function that this decorates, as an ``OSError``.

    Example:
        >>> with as_os_error("it is no number"):
        ...     int("x")
        Traceback (most recent call last):
        OSError: it is no number: invalid literal for int() with base 10: 'x'
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{what}: {error}") from error
