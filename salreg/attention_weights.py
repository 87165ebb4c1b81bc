"""The attention weights of a forward pass, as taps: the output depends on them, so that gradients reach them."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from salreg.hook import Hook

_SIGNATURE = inspect.signature(nn.MultiheadAttention.forward)
_SWITCH = (
    "Models built on nn.MultiheadAttention are switched automatically. A Hugging Face model returns its weights with "
    "attn_implementation='eager' and config.output_attentions=True. A module that calls scaled_dot_product_attention itself "
    "computes none: use nn.MultiheadAttention there, or an attribution that needs no weights (input_gradient, GradCAM at the "
    "tokens). Inside a reentrant checkpoint nothing can be observed: use use_reentrant=False."
)


class AttentionWeights:
    """Collects the weights of every ``nn.MultiheadAttention`` of a model, or those that its output holds as ``.attentions``.

    Args:
        model: The module whose forward pass is observed.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules = [module for module in model.modules() if isinstance(module, nn.MultiheadAttention)]
        self._weights: list[Tensor] = []
        self._name = type(model).__name__

    @contextmanager
    def recorded(self, wanted: Callable[[], bool]) -> Iterator[None]:
        """Collect from calls inside the ``with`` block while ``wanted()``."""
        with ExitStack() as hooks:
            for module in self._modules:
                call = _Call(self._weights, wanted)
                hooks.callback(module.register_forward_pre_hook(Hook(call.before), with_kwargs=True).remove)
                hooks.callback(module.register_forward_hook(Hook(call.after)).remove)
            yield

    def again(self) -> AbstractContextManager[None]:
        """Inside, activation checkpointing that runs modules again finds them as they were recorded."""
        return self.recorded(lambda: False)

    def take_from(self, output: Any) -> None:
        """Collect the weights that a model's output holds."""
        held = output.get("attentions") if isinstance(output, Mapping) else getattr(output, "attentions", None)
        if held is not None and not self._weights:
            self._weights += [one for one in held if one is not None]

    def require(self) -> list[Tensor]:
        """The weights ``(B, heads, T, T)`` of each layer, or a ``RuntimeError`` that says what to switch."""
        if not self._weights:
            raise RuntimeError(f"{self._name} returned no attention weights. {_SWITCH}")
        return self._weights


class _Call:
    """Makes one attention module form its weights, and its output from them."""

    def __init__(self, weights: list[Tensor], wanted: Callable[[], bool]) -> None:
        self.weights, self.wanted = weights, wanted
        self.asked: dict[str, Any] | None = None
        self.collects = False

    def before(self, module: nn.MultiheadAttention, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.asked, self.collects = None, self.wanted()
        if not self.collects and not _in_backward():
            return None
        bound = _SIGNATURE.bind(module, *args, **kwargs)
        bound.apply_defaults()
        self.asked = {name: value for name, value in bound.arguments.items() if name != "self"}
        return (), {**self.asked, "need_weights": True, "average_attn_weights": False}

    def after(self, module: nn.MultiheadAttention, args: Any, output: tuple[Tensor, Tensor]) -> Any:
        if self.asked is None:
            return None
        if module.bias_k is not None or module.add_zero_attn:
            raise RuntimeError("Attention attributions do not support nn.MultiheadAttention with add_bias_kv or add_zero_attn.")
        # The weights that the module returns are a side branch: its output was made before they were shaped.
        weights = output[1] if output[1].requires_grad else output[1].detach().requires_grad_()
        batched = weights if weights.ndim == 4 else weights.unsqueeze(0)
        if self.collects:
            self.weights.append(batched)
        result = _output(module, batched, self.asked["value"])
        if not self.asked["need_weights"]:
            return result, None
        return result, (weights.mean(-3) if self.asked["average_attn_weights"] else weights)


def _in_backward() -> bool:
    """Whether a gradient is being computed, so that only activation checkpointing calls modules: once more, as they were."""
    return bool(torch._C._current_graph_task_id() != -1)


def _output(module: nn.MultiheadAttention, weights: Tensor, value: Tensor) -> Tensor:
    """What the module puts out for these weights ``(B, heads, T, S)``."""
    if value.ndim == 3 and not module.batch_first:
        return _output_batch_first(module, weights, value.transpose(0, 1)).transpose(0, 1)
    if value.ndim == 2:
        return _output_batch_first(module, weights, value.unsqueeze(0)).squeeze(0)
    return _output_batch_first(module, weights, value)


def _output_batch_first(module: nn.MultiheadAttention, weights: Tensor, value: Tensor) -> Tensor:
    size = module.embed_dim
    projection = module.in_proj_weight[2 * size :] if module._qkv_same_embed_dim else module.v_proj_weight
    bias = None if module.in_proj_bias is None else module.in_proj_bias[2 * size :]
    heads = linear(value, projection, bias).unflatten(2, (module.num_heads, -1)).transpose(1, 2)
    mixed = torch.matmul(weights.to(heads.dtype), heads)
    return module.out_proj(mixed.transpose(1, 2).flatten(2))
