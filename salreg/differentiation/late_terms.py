"""Terms of a loss that run a forward pass of their own, after the training's graph is gone.

A node that is made *before* the forward pass is the last one of a backward pass to run: autograd takes the nodes that are ready
from the youngest to the oldest. By then the activations of the training are freed, so that a second pass needs no memory beside
them. All the rest comes by itself: gradient scalers, accumulation and manual optimization reach the term as they reach the
loss, and DDP sees one gradient per parameter.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

#: A term: given the gradient of the loss with respect to it, a scalar whose gradient is wanted. The mapping says which
#: tensors stand for sources that came with a graph.
Term = Callable[[Tensor, dict[int, Tensor]], Tensor]

_MOST = 64


class LateTerms:
    """Room for terms whose gradients are computed at the end of the backward pass.

    Args:
        sources: All tensors on which the terms may depend: parameters, and inputs of the forward pass that require grad.
    """

    def __init__(self, sources: Sequence[Tensor]) -> None:
        self._terms: list[Term] = []
        device = sources[0].device if sources else None
        self._room: Tensor = _Late.apply(torch.zeros(_MOST, device=device), self._terms, *sources)  # type: ignore[no-untyped-call]

    def add(self, term: Term) -> Tensor:
        """A zero whose gradient is that of the term."""
        if len(self._terms) == _MOST:
            raise RuntimeError(f"A loss has {_MOST} late terms at most.")
        self._terms.append(term)
        return self._room[len(self._terms) - 1]


class _Late(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, room: Tensor, terms: list[Term], *sources: Tensor) -> Tensor:
        ctx.terms, ctx.sources = terms, sources
        return room.clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        with torch.enable_grad():
            # What the sources came from is not this term's to differentiate: gradients go to the sources, and on from there.
            stand_ins = {id(one): one.detach().requires_grad_() for one in ctx.sources if not one.is_leaf}
            wanted = [stand_ins.get(id(one), one) for one in ctx.sources]
            terms = [term(grad, stand_ins) for term, grad in zip(ctx.terms, upstream[0], strict=False) if grad != 0]
            if not terms:
                return (None, None, *(None for _ in wanted))
            return (None, None, *torch.autograd.grad(sum(terms, start=terms[0].new_zeros(())), wanted, allow_unused=True))
