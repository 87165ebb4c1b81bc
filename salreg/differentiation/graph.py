"""What the operators between a tap and the logits allow, read off the graph of a forward pass."""

import re
from collections.abc import Iterable

from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge

# Names of autograd's nodes, without the number at their end. Where a first derivative jumps, differences are wrong.
_KINKS = {
    "Relu", "LeakyRelu", "PreluKernel", "RreluWithNoise", "Hardtanh", "Hardswish", "Hardsigmoid", "Threshold", "Abs",
    "MaxPool2DWithIndices", "MaxPool3DWithIndices", "AdaptiveMaxPool2D", "AdaptiveMaxPool3D", "FractionalMaxPool2D",
    "FractionalMaxPool3D", "MkldnnMaxPool2D", "CudnnMaxPool", "Amax", "Amin", "Max", "Min", "Maximum", "Minimum",
    "Clamp", "ClampMin", "ClampMax", "Softshrink", "Hardshrink", "Sort", "Topk", "Kthvalue", "Median",
}  # fmt: skip
_NO_SECOND_DERIVATIVE = {
    "Hardsigmoid", "Cdist", "CtcLoss", "CudnnRnn", "CompiledFunction", "CheckpointFunction",
    "ScaledDotProductFlashAttention", "ScaledDotProductFlashAttentionForCpu", "ScaledDotProductEfficientAttention",
    "ScaledDotProductCudnnAttention",
}  # fmt: skip


def kinks(logits: Tensor, tap: Tensor) -> list[str]:
    """The operators with kinks between a tap and the logits: ReLU, max-pooling and the like.

    What a compiled module or a reentrant checkpoint holds cannot be seen.

    Example:
        >>> import torch
        >>> x = torch.ones(1, 2, requires_grad=True)
        >>> kinks(x.relu() * x.sigmoid(), x)
        ['Relu']
    """
    return sorted(_KINKS.intersection(operators(logits, tap)))


def without_second_derivative(logits: Tensor, tap: Tensor) -> list[str]:
    """The operators between a tap and the logits of which PyTorch has no second derivative."""
    return sorted(_NO_SECOND_DERIVATIVE.intersection(operators(logits, tap)))


def operators(logits: Tensor, tap: Tensor) -> set[str]:
    """The names of the operators on the paths from a tap to the logits, as autograd calls them.

    Example:
        >>> import torch
        >>> x, w = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
        >>> sorted(operators(x.exp() * w.sin(), x))
        ['Exp', 'Mul']
    """
    end = get_gradient_edge(tap).node
    reaches: dict[Node, bool] = {end: True}
    for node in _children_first(get_gradient_edge(logits).node):
        if node not in reaches:
            reaches[node] = any(reaches.get(child, False) for child in _children(node))
    return {re.sub(r"Backward\d*$", "", node.name()) for node, does in reaches.items() if does and node is not end}


def _children_first(root: Node) -> Iterable[Node]:
    """All nodes below one, each behind those it leads to; without recursion, which deep networks would exhaust."""
    ordered, seen, stack = [], {root}, [(root, iter(_children(root)))]
    while stack:
        node, rest = stack[-1]
        child = next((one for one in rest if one not in seen), None)
        if child is None:
            ordered.append(node)
            stack.pop()
        else:
            seen.add(child)
            stack.append((child, iter(_children(child))))
    return ordered


def _children(node: Node) -> list[Node]:
    return [child for child, _ in node.next_functions if child is not None]
