"""Running a user's step once more without a trace of it."""

import copy
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from torchmetrics import Metric

#: Attributes under a private name that are set back, too; the others are other objects' business.
_PLAIN = (bool, int, float, str, type(None), torch.Tensor)


@contextmanager
def muted(module: pl.LightningModule) -> Iterator[list[torch.Tensor]]:
    """Inside, the module logs nothing, no optimizer of its own moves, and it keeps no gradient; its attributes, the lists and
    dictionaries among them, and the states of its metrics are as before afterwards. Gives the numbers with a graph that it
    would have logged, losses as a rule.
    """
    attributes = vars(module)
    kept = [(vars(one), _own(vars(one))) for one in module.modules() if one is module or isinstance(one, Metric)]
    grads = [] if module.automatic_optimization else [(one, one.grad) for one in module.parameters()]
    for parameter, _ in grads:
        parameter.grad = None
    still = _still(module)
    logged: list[torch.Tensor] = []

    def log_dict(values: Any, *_: Any, **__: Any) -> None:
        logged.extend(one for one in values.values() if isinstance(one, torch.Tensor) and one.requires_grad)

    for held, own in kept:
        held.update({name: _twin(value) for name, value in own.items()})
    attributes.update(dict.fromkeys(("manual_backward", "print"), _nothing), optimizers=lambda *_, **__: still)
    attributes.update(log_dict=log_dict, log=lambda name, value, *_, **__: log_dict({name: value}))
    try:
        yield logged
    finally:
        for held, own in kept:
            for name in set(_own(held)) - set(own):
                del held[name]
            held.update(own)
        for parameter, grad in grads:
            parameter.grad = grad


def _own(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name[0] != "_" or isinstance(value, _PLAIN)}


def _twin(value: Any) -> Any:
    """Something to be changed in the place of an attribute: containers and tensors are copied."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    twin: Any
    if isinstance(value, dict):
        twin = copy.copy(value)
        for key, held in value.items():
            twin[key] = _twin(held)
        return twin
    if type(value) in (list, deque):
        twin = copy.copy(value)
        twin.clear()
        twin.extend(_twin(held) for held in value)
        return twin
    return copy.copy(value) if type(value) is set else value


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
