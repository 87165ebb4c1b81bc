"""A forward pass and the gradient of its score as one compiled graph.

PyTorch has no second derivative of what it compiled. It has a first one, which is enough where the gradient was compiled
together with the forward pass: from outside, the gradient is an output like the logits.
"""

import re
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from salreg import scores
from salreg.differentiation import gradient_of, reusable_graphs
from salreg.taps import find_logits

# Differentiating inside the graph, recurrent layers, DDP without cuts of its own, and noticing hooks that come or go.
_ONE_GRAPH = {"trace_autograd_ops": True, "allow_rnn": True, "optimize_ddp": False, "skip_nnmodule_hook_guards": False}


class CompiledGradient:
    """Makes a call and takes the gradient of its score at one of the arguments, in one graph.

    Compiles at the first call, which takes from seconds to minutes, and again when the shape of the batch changes. A module
    that cannot be one graph runs as it is, from then on; a warning says what broke the graph.

    Args:
        score: What is differentiated.
        backend: Of ``torch.compile``.

    Attributes:
        backend: Of ``torch.compile``.
        problem: What broke the graph, once something did.

    Example:
        >>> x = torch.ones(1, 2, requires_grad=True)
        >>> model = nn.Linear(2, 2)
        >>> gradient_of = CompiledGradient(scores.resolve("log_prob_sum"), backend="eager")
        >>> output, gradient = gradient_of(model, (x,), {}, x, None)
        >>> gradient.square().sum().backward()
        >>> model.weight.grad is not None
        True
    """

    def __init__(self, score: scores.Score, backend: str = "inductor") -> None:
        self.problem = ""
        self._score = score
        self.backend = backend
        self._graph: Callable[..., tuple[Any, Tensor]] | None = None

    def __call__(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], tap: Tensor, target: Tensor | None = None
    ) -> tuple[Any, Tensor | None]:
        """The output of ``module(*args, **kwargs)``, and the gradient of the score at ``tap``, one of the arguments; None
        where there is no such graph."""
        if not self.problem:
            import torch._dynamo as dynamo  # takes a second, which only those who compile should wait

            try:
                with dynamo.config.patch(_ONE_GRAPH), reusable_graphs():
                    return self._compiled()(module, args, kwargs, tap, target)
            except (dynamo.exc.TorchDynamoException, AttributeError, TypeError) as error:  # the latter two: an older PyTorch
                self.give_up(f"{type(module).__name__} cannot be one graph: {_what_broke(error)}")
        return _call(module, args, kwargs, tap), None

    def give_up(self, problem: str) -> None:
        """Run uncompiled from now on, and warn."""
        self.problem = problem
        warnings.warn(f"compile=True has no effect: {problem}. Penalised steps run uncompiled.", stacklevel=3)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_graph": None}  # compiled code is of one process

    def _compiled(self) -> Callable[..., tuple[Any, Tensor]]:
        if self._graph is None:
            # Other models' graphs do not count against the limit of this one's; torch's stubs do not know the argument.
            self._graph = torch.compile(  # type: ignore[call-overload]
                self._traced, fullgraph=True, backend=self.backend, isolate_recompiles=True
            )
        return self._graph

    def _traced(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], tap: Tensor, target: Tensor | None
    ) -> tuple[Any, Tensor]:
        output = _call(module, args, kwargs, tap)
        values = scores.evaluate(self._score, find_logits(output), target)
        return output, gradient_of(values, tap, create_graph=True)


def _call(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], tap: Tensor) -> Any:
    args, kwargs = _exchanged((args, kwargs), tap, tap.clone())  # what the module overwrites is not the tap
    return getattr(module, "_orig_mod", module)._call_impl(*args, **kwargs)


def _exchanged(arguments: Any, old: Tensor, new: Tensor) -> Any:
    """Arguments with one tensor for another, in a way that can be compiled."""
    if isinstance(arguments, dict):
        return {key: _exchanged(value, old, new) for key, value in arguments.items()}
    if type(arguments) in (tuple, list):
        return type(arguments)(_exchanged(value, old, new) for value in arguments)
    return new if arguments is old else arguments


def _what_broke(error: Exception) -> str:
    """The reason in one line, and where in the user's code it lies."""
    reason = next(line.strip().rstrip(".") for line in str(error).splitlines() if line.strip())
    places = re.findall(r'File "([^"]+)", line (\d+), in (\w+)', str(error))
    return f"{reason} ({places[-1][0]}, line {places[-1][1]}, in {places[-1][2]})" if places else reason
