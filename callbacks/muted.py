"""Running a user's step once more without a trace of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl

from salreg.callbacks.replacements import Replacement

_INTERNAL = ("_parameters", "_buffers", "_modules")
_SILENCED = ("log", "log_dict", "manual_backward", "print", "optimizers")


@contextmanager
def muted(module: pl.LightningModule) -> Iterator[None]:
    """Inside, the module is its user's own again, but logs nothing, moves no optimizer and keeps no gradient; afterwards its
    attributes, and the lists and dictionaries among them, are as before."""
    attributes = vars(module)
    before = {name: value for name, value in attributes.items() if name not in _INTERNAL}
    contents = _contents({name: value for name, value in before.items() if name[0] != "_"})
    grads = [] if module.automatic_optimization else [(one, one.grad) for one in module.parameters()]
    for parameter, _ in grads:
        parameter.grad = None
    still = _still(module)
    for value in before.values():
        if isinstance(value, Replacement):  # one step may call another
            value.put_back()
    attributes.update(dict.fromkeys(_SILENCED, _nothing), optimizers=lambda *_, **__: still)
    try:
        yield
    finally:
        for name in [name for name in attributes if name not in before and name not in _INTERNAL]:
            del attributes[name]
        attributes.update(before)
        for container, content in contents:
            container.clear()
            container.update(content) if isinstance(container, dict) else container.extend(content)
        for parameter, grad in grads:
            parameter.grad = grad


def _contents(container: Any) -> list[tuple[Any, Any]]:
    """The lists and dictionaries in a container, with what they hold."""
    values = container.values() if isinstance(container, dict) else container
    inner = [value for value in values if type(value) in (list, dict)]
    return [(value, value.copy()) for value in inner] + [pair for value in inner for pair in _contents(value)]


def _nothing(*_: Any, **__: Any) -> None:
    pass


class _Still:
    """An optimizer that does not move."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._optimizer, name)

    def step(self, *_: Any, **__: Any) -> None:
        """Move nothing."""

    zero_grad = step


def _still(module: pl.LightningModule) -> Any:
    """The module's optimizers, none of which moves: one, or a list of them, as the module knows them."""
    trainer = module._trainer
    optimizers = module.optimizers() if trainer is not None and getattr(trainer, "optimizers", None) else []
    return [_Still(one) for one in optimizers] if isinstance(optimizers, list) else _Still(optimizers)
