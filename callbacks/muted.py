"""Running a user's step once more without a trace of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch

#: What a module's attributes are set back to; the rest is other objects' business.
_PLAIN = (bool, int, float, str, type(None), torch.Tensor)


@contextmanager
def muted(module: pl.LightningModule) -> Iterator[list[torch.Tensor]]:
    """Inside, the module logs nothing, no optimizer of its own moves, and it keeps no gradient; its numbers, lists and
    dictionaries are as before afterwards. Gives the numbers with a graph that it would have logged, losses as a rule.

    Raises:
        RuntimeError: Its parameters were changed; those of the first time are put back.
    """
    attributes = vars(module)
    numbers = {name: value for name, value in attributes.items() if isinstance(value, _PLAIN)}
    held = [(value, value.copy()) for name, value in attributes.items() if name[0] != "_" and type(value) in (list, dict)]
    silenced = ("log", "log_dict", "manual_backward", "print", "optimizers")
    own = {name: attributes[name] for name in silenced if name in attributes}
    grads = [] if module.automatic_optimization else [(one, one.grad) for one in module.parameters()]
    for parameter, _ in grads:
        parameter.grad = None
    still = _still(module)
    logged: list[torch.Tensor] = []

    def log_dict(values: Any, *_: Any, **__: Any) -> None:
        logged.extend(one for one in values.values() if isinstance(one, torch.Tensor) and one.requires_grad)

    attributes.update(dict.fromkeys(silenced, _nothing), optimizers=lambda *_, **__: still)
    attributes.update(log_dict=log_dict, log=lambda name, value, *_, **__: log_dict({name: value}))
    try:
        yield logged
    finally:
        for name in silenced:
            attributes.pop(name, None)
        for name in [name for name, value in attributes.items() if isinstance(value, _PLAIN) and name not in numbers]:
            del attributes[name]
        attributes.update(numbers | own)
        for container, content in held:
            container.clear()
            container.update(content) if isinstance(container, dict) else container.extend(content)
        for parameter, grad in grads:
            parameter.grad = grad


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
