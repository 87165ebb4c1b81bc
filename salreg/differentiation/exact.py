"""The exact gradient of a score at a tap, with a remedy if PyTorch has no second derivative."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

_REMEDIES = {
    "does not currently support double backward": (
        "A compiled module has no second derivative. Run it uncompiled on penalised steps: torch.compiler.set_stance("
        "'force_eager') around the step (SaliencyRegularizer does this by itself)."
    ),
    "donated buffers": (
        "The network was compiled for a plain step first. Compile and call it under "
        "salreg.differentiation.reusable_graphs() (SaliencyRegularizer does this by itself)."
    ),
    "CuDNN RNN": "Run the forward pass under torch.backends.cudnn.flags(enabled=False).",
    "scaled_dot_product": "Run the forward pass under sdpa_kernel(SDPBackend.MATH) from torch.nn.attention.",
    "use_reentrant=True": (
        "Call torch.utils.checkpoint.checkpoint with use_reentrant=False; of a Hugging Face model say "
        "gradient_checkpointing_enable({'use_reentrant': False})."
    ),
    "cdist": (
        "Call torch.cdist(..., compute_mode='use_mm_for_euclid_dist'), which is made of operators that have one; write "
        "distances of other norms out."
    ),
    "hardsigmoid": "Replace nn.Hardsigmoid / nn.Hardswish squeeze-excite gates by nn.Sigmoid.",
    "not appear to have been used": "The score does not depend on the tap: are the logits detached?",
    "appears to not have been used": "The score does not depend on the tap: are the logits detached?",
}
# By the start of an operator's name in autograd's graph.
_OPERATORS = {
    "CompiledFunction": "does not currently support double backward",
    "CudnnRnn": "CuDNN RNN",
    "ScaledDotProduct": "scaled_dot_product",
    "CheckpointFunction": "use_reentrant=True",
    "Cdist": "cdist",
    "Hardsigmoid": "hardsigmoid",
}


def gradient_of(score: Tensor, activation: Tensor, *, create_graph: bool = False) -> Tensor:
    """``d score_i / d activation_i`` for every sample i of a batch, in the activation's shape.

    The scores are summed before they are differentiated, so that one backward pass serves the batch. If samples influence each
    other (BatchNorm in train mode), the result includes that influence.

    Args:
        score: ``(B,)``, computed from ``activation``.
        activation: ``(B, ...)``, requires grad.
        create_graph: Keep the result differentiable, for a penalty.

    Raises:
        RuntimeError: The score has no such gradient; the message names the reason and the remedy.
    """
    if not score.requires_grad:
        raise RuntimeError(
            "The score carries no gradient: the logits were computed under no_grad, detached, or rounded to integers."
        )
    try:
        return torch.autograd.grad(score.sum(), activation, create_graph=create_graph, retain_graph=True)[0]
    except RuntimeError as error:
        raise explained(error) from error


def explained(error: RuntimeError) -> RuntimeError:
    """The same error with the remedy appended, where one is known."""
    known = next((helps for symptom, helps in _REMEDIES.items() if symptom in str(error)), None)
    return RuntimeError(f"{error}\n{known}") if known else error


def remedy(operators: Sequence[str]) -> str:
    """What helps against operators without a second derivative, named as in autograd's graph."""
    known = [_REMEDIES[key] for start, key in _OPERATORS.items() if any(name.startswith(start) for name in operators)]
    return " ".join(known) or "Replace it, or read the saliency at a layer behind it."


@contextmanager
def twice_differentiable(model: nn.Module, *, compiled: bool = False) -> Iterator[None]:
    """Run a forward pass on kernels that have a second derivative: unfused attention, recurrence without cuDNN, and nothing
    compiled unless it is with its gradient."""
    with ExitStack() as stack:
        if is_compiled(model) and not compiled:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if torch.cuda.is_available() and any(isinstance(module, nn.RNNBase) for module in model.modules()):
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        yield


def in_backward(loss: Tensor, contexts: Callable[[], AbstractContextManager[Any]]) -> None:
    """Make a context be entered whenever a loss is differentiated: activation checkpointing runs modules again then, and has to
    find the kernels and hooks of the forward pass.

    Example:
        >>> from contextlib import contextmanager
        >>> @contextmanager
        ... def loudly():
        ...     print("begins")
        ...     yield
        ...     print("ends")
        >>> loss = torch.ones(1, requires_grad=True).sum()
        >>> in_backward(loss, loudly)
        >>> loss.backward()
        begins
        ends
    """

    def enter(_: Tensor) -> None:
        _BackwardPass.running().enter_context(contexts())

    if loss.requires_grad:
        loss.register_hook(enter)


class _BackwardPass(ExitStack):
    """The contexts of a backward pass, of one loss or several, which end in the opposite order when it ends or fails."""

    _all: ClassVar["WeakValueDictionary[int, _BackwardPass]"] = WeakValueDictionary()

    @classmethod
    def running(cls) -> "_BackwardPass":
        number = torch._C._current_graph_task_id()
        found = cls._all.get(number)
        if found is None:
            found = cls._all[number] = cls()
            torch.autograd.Variable._execution_engine.queue_callback(found)  # as FSDP does; the engine alone keeps it
        return found

    def __call__(self) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()  # of a pass that failed, no callback is called


def reusable_graphs() -> AbstractContextManager[None]:
    """What is compiled inside keeps what its backward pass needs, so that this can run more than once."""
    from torch._functorch import config

    return config.patch(donated_buffer=False)


def couples_samples(model: nn.Module) -> bool:
    """Whether a sample's logits depend on the rest of the batch: BatchNorm in train mode."""
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) and part.training for part in model.modules())


def is_compiled(model: nn.Module) -> bool:
    """Whether a module, a LightningModule's steps or a submodule are compiled: no second derivative, and no hooks inside."""
    return getattr(model, "_compiler_ctx", None) is not None or any(map(is_compiled_itself, model.modules()))


def is_compiled_itself(module: nn.Module) -> bool:
    """Whether this very module is compiled, in place or as what ``torch.compile`` returned."""
    return getattr(module, "_compiled_call_impl", None) is not None or hasattr(module, "_orig_mod")
