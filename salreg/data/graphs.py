"""Graphs are refused: their samples differ in size, and a batch of them has no rows."""

from collections.abc import Iterable, Mapping
from typing import Any

GRAPH = (
    "This is a graph (it has an edge_index): graphs differ in size and are batched into one large graph, where no sample is a "
    "row that could be marked and explained. Use dense samples of equal size: node features (N, F) and an adjacency matrix (N, "
    "N), as returned by torch_geometric.utils.to_dense_batch and to_dense_adj, padded with zeros, and an annotation (N, F) for "
    "each."
)


def refuse_graph(sample: Any) -> None:
    """Raise a ``TypeError`` that says the remedy if a sample is or holds a graph, such as torch_geometric's ``Data``.

    Example:
        >>> refuse_graph({"x": 1})
    """
    for part in _parts(sample):
        if not isinstance(part, Mapping) and getattr(part, "edge_index", None) is not None:
            raise TypeError(GRAPH)


def has_edges(samples: Iterable[Any]) -> bool:
    """Whether any sample is a mapping that describes a graph, which may or may not collate to a batch."""
    return any(isinstance(part, Mapping) and "edge_index" in part for sample in samples for part in _parts(sample))


def _parts(sample: Any) -> list[Any]:
    return [sample, *(sample if isinstance(sample, tuple | list) else ())]
