"""A hook that belongs to one module alone."""

from collections.abc import Callable
from typing import Any


class Hook:
    """A hook that copies of its module do not have: a step may copy its network, for example as a teacher.

    Args:
        call: What the hook does.

    Example:
        >>> from copy import deepcopy
        >>> print(Hook(lambda module, args: "seen")(None, ()), deepcopy(Hook(print))(None, ()))
        seen None
    """

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return Hook, (_nothing,)


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    """What the hook of a copy does."""
