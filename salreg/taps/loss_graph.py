"""What the graph behind a loss says of the logits: whether they reach it, how they become probabilities, and the targets."""

import re
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any, Literal

from torch import Tensor, nn
from torch.autograd.graph import Node, get_gradient_edge

#: How logits become probabilities: classes that exclude one another, labels each on its own, or no probabilities at all; and
#: for places, classes at every one of them, or the places themselves as the start and the end of a span.
Link = Literal["softmax", "sigmoid", "regression", "tokens", "span"]

# Names of autograd's nodes, in the order in which they decide.
_LINKS: tuple[tuple[Link, frozenset[str]], ...] = (
    ("softmax", frozenset({"LogSoftmax", "NllLoss", "NllLoss2D", "NllLossNd", "Softmax", "MultiMarginLoss"})),
    ("sigmoid", frozenset({"BinaryCrossEntropyWithLogits", "BinaryCrossEntropy", "LogSigmoid", "SoftMarginLoss"})),
    ("regression", frozenset({"MseLoss", "L1Loss", "SmoothL1Loss", "HuberLoss"})),
)
# The attribute of a node that holds the logits, or log-probabilities, which it reads.
_KEPT = {"LogSoftmax": "_saved_result", "BinaryCrossEntropyWithLogits": "_saved_self"}
_COMPARISONS = frozenset({"Mm", "Bmm", "Addmm", "EuclideanDist", "Cdist"})
# What keeps numbers as they are, or takes some of them.
_VIEWS = frozenset({"View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "ToCopy", "Clone", "Alias"})
_VIEWS |= {"Select", "Slice", "Split", "SplitWithSizes", "Unbind"}
_HOLD_TARGETS = (
    "NllLoss",
    "NllLoss2D",
    "BinaryCrossEntropyWithLogits",
    "BinaryCrossEntropy",
    "MseLoss",
    "L1Loss",
    "SmoothL1Loss",
)


def node_of(tensor: Tensor) -> Node:
    """The node of autograd's graph that made a tensor, or that accumulates its gradient."""
    return get_gradient_edge(tensor).node


def below(tensor: Tensor) -> set[Node]:
    """All nodes that a tensor was made from, its own included; none of one without a graph."""
    if not tensor.requires_grad:
        return set()
    seen, stack = {node_of(tensor)}, [node_of(tensor)]
    while stack:
        for child in children(stack.pop()):
            if child not in seen:
                seen.add(child)
                stack.append(child)
    return seen


def between(loss: Tensor, logits: Node) -> list[Node]:
    """The nodes through which a loss depends on the logits, without the logits' own; those next to the logits first."""
    if not loss.requires_grad:
        return []
    parents: dict[Node, list[Node]] = {}
    for node in below(loss):
        for child in children(node):
            parents.setdefault(child, []).append(node)
    ordered, seen = [logits], {logits}
    for node in ordered:  # grows while it is walked
        for parent in parents.get(node, []):
            if parent not in seen:
                seen.add(parent)
                ordered.append(parent)
    return ordered[1:]


def link_of(loss: Tensor, logits: Tensor) -> Link | None:
    """How the loss reads the logits; None where its operators do not tell.

    A loss that is written by hand tells by what it does to the logits first: it takes their difference to a target, their
    logarithm of summed exponentials, or their sigmoid.
    """
    nodes = between(loss, node_of(logits))
    names = {operator(node) for node in nodes}
    named = next((link for link, known in _LINKS if names & known), None)
    if named is not None:
        return named
    first = _first_read(nodes, logits)
    # Before an exponential it is the largest number that is subtracted, and no target.
    in_exponent = {child for node in nodes if operator(node) in ("Exp", "Logsumexp") for child in children(node)}
    if any(_is_residual(node) and node not in in_exponent for node in first):
        return "regression"
    reads = {operator(node) for node in first}
    if "Logsumexp" in reads and logits.ndim > 1:
        return "softmax"
    of_labels = "Sigmoid" in reads and not any(_is_residual(node) for node in nodes)
    return "sigmoid" if of_labels or {"Softplus", "Mul"} <= reads else None


def _first_read(nodes: Iterable[Node], logits: Tensor) -> list[Node]:
    """The first of the nodes between logits and their loss that are more than a view or a part of the logits."""
    same, first = {node_of(logits)}, []
    for node in nodes:
        if same & set(children(node)):
            if operator(node) in _VIEWS:
                same.add(node)
            else:
                first.append(node)
    return first


def _is_residual(node: Node) -> bool:
    """Whether it is the difference of two tensors of which only one depends on parameters, as a target does not."""
    if node.name() != "SubBackward0":
        return False
    return len(node.next_functions) == 2 and sum(_is_trained(child) for child, _ in node.next_functions) == 1


def _is_trained(node: Node | None) -> bool:
    """Whether what a node made depends on a parameter, and not at most on a tapped input."""
    seen = set() if node is None else {node}
    stack = list(seen)
    while stack:
        one: Any = stack.pop()
        if operator(one) == "AccumulateGrad" and isinstance(one.variable, nn.Parameter):
            return True
        new = set(children(one)) - seen
        seen |= new
        stack += new
    return False


def gives_probabilities(output: Tensor) -> bool:
    """Whether a module's output went through a softmax or sigmoid last."""
    node: Node | None = node_of(output) if output.requires_grad else None
    while node is not None and operator(node) in ("View", "Squeeze", "Unsqueeze", "ToCopy", "Clone", "Reshape", "Select"):
        node = next(iter(children(node)), None)
    return node is not None and operator(node) in ("Softmax", "Sigmoid")


def target_of(loss: Tensor, logits: Tensor) -> Tensor | None:
    """The targets that the loss compares the logits with; None where its operators keep none, or several differ."""
    held: list[Tensor] = []
    for node in between(loss, node_of(logits)):
        if operator(node) in _HOLD_TARGETS:
            target = getattr(node, "_saved_target", None)
            if isinstance(target, Tensor) and not any(target is one for one in held):
                held.append(target)
    return held[0] if len(held) == 1 else None


def uses_parameters_after(loss: Tensor, logits: Tensor) -> bool:
    """Whether trained parameters act on a module's output before the loss reads it: the output is then no logits."""
    return any(operator(child) == "AccumulateGrad" for node in _until_read(loss, logits) for child in _beside(node))


def is_compared_after(loss: Tensor, output: Tensor) -> bool:
    """Whether the loss reads products of a module's output with something else, or distances: it is an embedding, and no
    logits."""
    return any(operator(node) in _COMPARISONS for node in _until_read(loss, output)) or reads_fewer(loss, output)


def reads_fewer(loss: Tensor, output: Tensor) -> bool:
    """Whether every softmax that the loss takes of an output ``(B, N)`` is one over another number of classes than N."""
    taken: list[Any] = [node for node in between(loss, node_of(output)) if operator(node) == "LogSoftmax"]
    return output.ndim == 2 and bool(taken) and all(output.shape[1] not in node._saved_result.shape[1:] for node in taken)


def is_read_otherwise(loss: Tensor, output: Tensor, logits: Tensor) -> bool:
    """Whether a loss depends on a module's output by another way, too, than through the logits that it made of it."""
    around, seen, stack = node_of(logits), set[Node](), [node_of(loss)]
    while stack:
        for child in children(stack.pop()):
            if child is not around and child not in seen:
                seen.add(child)
                stack.append(child)
    return node_of(output) in seen


def _until_read(loss: Tensor, output: Tensor) -> Iterator[Node]:
    """The nodes between a module's output and the first that makes a loss of it."""
    reads = frozenset().union(*(known for _, known in _LINKS))
    return takewhile(lambda node: operator(node) not in reads, between(loss, node_of(output)))


def logits_in_loss(loss: Tensor, ends: Iterable[Node]) -> Tensor | None:
    """What the loss took the softmax or sigmoid of, where no module returned it: log-probabilities, or a sigmoid's logits.
    None unless there is exactly one that depends on ``ends``."""
    found = []
    for node in below(loss):
        name = operator(node)
        kept = _KEPT.get(name)
        kept = "_saved_self" if name in ("MseLoss", "L1Loss", "SmoothL1Loss", "HuberLoss") else kept
        tensor = getattr(node, kept, None) if kept else None
        if isinstance(tensor, Tensor) and tensor.requires_grad and set(ends) & below(tensor):
            found.append(tensor)
    return found[0] if len(found) == 1 else None


def margin_in(loss: Tensor) -> Tensor | None:
    """The difference of two outputs of which a loss takes the sigmoid, as it does of a preference pair; None where there is not
    exactly one."""
    taken: list[Any] = [node for node in below(loss) if operator(node) == "LogSigmoid"]
    margins = [node._saved_self for node in taken if any(operator(child) == "Sub" for child in children(node))]
    return margins[0] if len(margins) == 1 else None


def operator(node: Node) -> str:
    """What a node does, as autograd calls it, without the number at its end."""
    return re.sub(r"Backward\d*$", "", node.name().rpartition("::")[2])


def children(node: Node) -> list[Node]:
    """The nodes that a node's inputs were made by."""
    return [child for child, _ in node.next_functions if child is not None]


def _beside(node: Node) -> list[Node]:
    """The children of a node, and through views and transposes of weights what they lead to."""
    found = []
    for child in children(node):
        found += children(child) if operator(child) in ("T", "Transpose", "View", "Permute", "ToCopy", "Exp") else [child]
    return found
