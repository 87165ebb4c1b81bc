"""What the graph behind a loss reveals about the logits: whether they reach it, how they become probabilities, the targets."""

import re
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any, Literal

from torch import Tensor, nn
from torch.autograd.graph import Node, get_gradient_edge

#: How logits become probabilities: mutually exclusive classes, independent labels, or no probabilities at all; and
#: for places, classes at each of them, or the places themselves as the start and the end of a span.
Link = Literal["softmax", "sigmoid", "regression", "tokens", "span"]

# Names of autograd's nodes, in the order in which they decide.
_LINKS: tuple[tuple[Link, frozenset[str]], ...] = (
    ("softmax", frozenset({"LogSoftmax", "NllLoss", "NllLoss2D", "NllLossNd", "Softmax", "MultiMarginLoss"})),
    ("sigmoid", frozenset({"BinaryCrossEntropyWithLogits", "BinaryCrossEntropy", "LogSigmoid", "SoftMarginLoss"})),
    ("regression", frozenset({"MseLoss", "L1Loss", "SmoothL1Loss", "HuberLoss"})),
)
# The attribute of a node that holds the logits or log-probabilities that it reads.
_KEPT = {"LogSoftmax": "_saved_result", "BinaryCrossEntropyWithLogits": "_saved_self"}
_COMPARISONS = frozenset({"Mm", "Bmm", "Addmm", "EuclideanDist", "Cdist"})
# Operators that keep the numbers unchanged, or select some of them.
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
    """The node of autograd's graph that computed a tensor, or that accumulates its gradient."""
    return get_gradient_edge(tensor).node


def below(tensor: Tensor) -> set[Node]:
    """All nodes that a tensor was computed from, including its own; empty for a tensor without a graph."""
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
    """The nodes through which a loss depends on the logits, without the logits' own node; the nearest to the logits first."""
    if not loss.requires_grad:
        return []
    parents: dict[Node, list[Node]] = {}
    for node in below(loss):
        for child in children(node):
            parents.setdefault(child, []).append(node)
    ordered, seen = [logits], {logits}
    for node in ordered:  # grows during the iteration
        for parent in parents.get(node, []):
            if parent not in seen:
                seen.add(parent)
                ordered.append(parent)
    return ordered[1:]


def link_of(loss: Tensor, logits: Tensor) -> Link | None:
    """How the loss reads the logits; None if its operators do not show it.

    A loss that is written by hand shows it by what it does to the logits first: it subtracts a target, takes the logarithm of
    their summed exponentials, or takes their sigmoid.
    """
    nodes = between(loss, node_of(logits))
    names = {operator(node) for node in nodes}
    named = next((link for link, known in _LINKS if names & known), None)
    if named is not None:
        return named
    first = _first_read(nodes, logits)
    # If an exponential follows, the maximum was subtracted, not a target.
    in_exponent = {child for node in nodes if operator(node) in ("Exp", "Logsumexp") for child in children(node)}
    if any(_is_residual(node) and node not in in_exponent for node in first):
        return "regression"
    reads = {operator(node) for node in first}
    if "Logsumexp" in reads and logits.ndim > 1:
        return "softmax"
    of_labels = "Sigmoid" in reads and not any(_is_residual(node) for node in nodes)
    return "sigmoid" if of_labels or {"Softplus", "Mul"} <= reads else None


def _first_read(nodes: Iterable[Node], logits: Tensor) -> list[Node]:
    """The first nodes between logits and their loss that do more than view or select the logits."""
    same, first = {node_of(logits)}, []
    for node in nodes:
        if same & set(children(node)):
            if operator(node) in _VIEWS:
                same.add(node)
            else:
                first.append(node)
    return first


def _is_residual(node: Node) -> bool:
    """Whether a node subtracts two tensors of which only one depends on parameters; the other is then a target."""
    if node.name() != "SubBackward0":
        return False
    return len(node.next_functions) == 2 and sum(_is_trained(child) for child, _ in node.next_functions) == 1


def _is_trained(node: Node | None) -> bool:
    """Whether a node's result depends on a parameter, not just on a tapped input."""
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
    """Whether a module's output comes from a softmax or sigmoid."""
    node: Node | None = node_of(output) if output.requires_grad else None
    while node is not None and operator(node) in ("View", "Squeeze", "Unsqueeze", "ToCopy", "Clone", "Reshape", "Select"):
        node = next(iter(children(node)), None)
    return node is not None and operator(node) in ("Softmax", "Sigmoid")


def target_of(loss: Tensor, logits: Tensor) -> Tensor | None:
    """The targets that the loss compares the logits with; None if its operators keep none, or several different ones."""
    held: list[Tensor] = []
    for node in between(loss, node_of(logits)):
        if operator(node) in _HOLD_TARGETS:
            target = getattr(node, "_saved_target", None)
            if isinstance(target, Tensor) and not any(target is one for one in held):
                held.append(target)
    return held[0] if len(held) == 1 else None


def uses_parameters_after(loss: Tensor, logits: Tensor) -> bool:
    """Whether trained parameters act on a module's output before the loss reads it: the output is then not the logits."""
    return any(operator(child) == "AccumulateGrad" for node in _until_read(loss, logits) for child in _beside(node))


def is_compared_after(loss: Tensor, output: Tensor) -> bool:
    """Whether the loss reads products of a module's output with something else, or distances: the output is then an
    embedding, not logits."""
    return any(operator(node) in _COMPARISONS for node in _until_read(loss, output)) or reads_fewer(loss, output)


def reads_fewer(loss: Tensor, output: Tensor) -> bool:
    """Whether every softmax that the loss takes of an output ``(B, N)`` is over a number of classes other than N."""
    taken: list[Any] = [node for node in between(loss, node_of(output)) if operator(node) == "LogSoftmax"]
    return output.ndim == 2 and bool(taken) and all(output.shape[1] not in node._saved_result.shape[1:] for node in taken)


def is_read_otherwise(loss: Tensor, output: Tensor, logits: Tensor) -> bool:
    """Whether a loss also depends on a module's output in another way than through the logits computed from it."""
    around, seen, stack = node_of(logits), set[Node](), [node_of(loss)]
    while stack:
        for child in children(stack.pop()):
            if child is not around and child not in seen:
                seen.add(child)
                stack.append(child)
    return node_of(output) in seen


def _until_read(loss: Tensor, output: Tensor) -> Iterator[Node]:
    """The nodes between a module's output and the first node that reads it as a loss does."""
    reads = frozenset().union(*(known for _, known in _LINKS))
    return takewhile(lambda node: operator(node) not in reads, between(loss, node_of(output)))


def logits_in_loss(loss: Tensor, ends: Iterable[Node]) -> Tensor | None:
    """The tensor that the loss reads, if no module returned it: log-probabilities, a sigmoid's logits or a regression's
    output. None unless exactly one such tensor depends on ``ends``, or on anything at all if these are empty."""
    ends, found = set(ends), []
    for node in below(loss):
        name = operator(node)
        kept = _KEPT.get(name)
        kept = "_saved_self" if name in ("MseLoss", "L1Loss", "SmoothL1Loss", "HuberLoss") else kept
        tensor = getattr(node, kept, None) if kept else None
        if isinstance(tensor, Tensor) and tensor.requires_grad and (not ends or ends & below(tensor)):
            found.append(tensor)
    return found[0] if len(found) == 1 else None


def margin_in(loss: Tensor) -> Tensor | None:
    """The difference of two outputs of which a loss takes the sigmoid, as for a preference pair; None unless there is exactly
    one."""
    taken: list[Any] = [node for node in below(loss) if operator(node) == "LogSigmoid"]
    margins = [node._saved_self for node in taken if any(operator(child) == "Sub" for child in children(node))]
    return margins[0] if len(margins) == 1 else None


def operator(node: Node) -> str:
    """Autograd's name of a node's operation, without the number at its end."""
    return re.sub(r"Backward\d*$", "", node.name().rpartition("::")[2])


def children(node: Node) -> list[Node]:
    """The nodes that computed a node's inputs."""
    return [child for child, _ in node.next_functions if child is not None]


def _beside(node: Node) -> list[Node]:
    """The children of a node; views and transposes of weights are replaced by their own children."""
    found = []
    for child in children(node):
        found += children(child) if operator(child) in ("T", "Transpose", "View", "Permute", "ToCopy", "Exp") else [child]
    return found
