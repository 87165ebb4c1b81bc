"""Annotations of tables, by the names of columns or of groups of columns that form one feature."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from salreg.names import nearest

#: The columns that make up a feature, by its name: ``{"race": ["race_black", "race_white"]}``.
ColumnGroups = Mapping[str, Sequence[str]]


def from_columns(
    columns: Sequence[str], *, spurious: Sequence[str] = (), relevant: Sequence[str] = (), groups: ColumnGroups | None = None
) -> Tensor:
    """Mark columns.

    Args:
        columns: The names of all F columns, in the order of the input.
        spurious: Columns, or groups of them, that the model must not use.
        relevant: Columns or groups that it should use.
        groups: Columns by feature, for features that take several, such as a one-hot code.

    Returns:
        ``int8`` tensor ``(F,)``; the same for every row, so that ``lambda index, sample: annotation`` annotates a dataset.

    Raises:
        ValueError: A name is neither a column nor a group (the message suggests the nearest), or a column is on both sides.

    Example:
        >>> from_columns(["age", "race_a", "race_b"], spurious=["race"], groups={"race": ["race_a", "race_b"]}).tolist()
        [0, -1, -1]
    """
    if isinstance(spurious, str) or isinstance(relevant, str):
        raise ValueError("spurious and relevant must be lists of names, not one string.")
    annotation = torch.zeros(len(columns), dtype=torch.int8)
    for value, names in ((-1, spurious), (1, relevant)):
        for name in names:
            for column in _columns_of(name, columns, groups or {}):
                if annotation[column] == -value:
                    raise ValueError(f"The column {columns[column]!r} is marked both spurious and relevant.")
                annotation[column] = value
    return annotation


def column_groups(columns: Sequence[str], groups: ColumnGroups) -> Tensor:
    """The number of each column's feature, for ``FeatureAblation(groups=...)`` and others that take groups.

    Args:
        columns: The names of all F columns.
        groups: Columns by feature; every other column is a separate feature.

    Returns:
        ``int64`` tensor ``(F,)``.

    Raises:
        ValueError: A group has an unknown column, or two groups share a column.

    Example:
        >>> column_groups(["age", "race_a", "race_b"], {"race": ["race_a", "race_b"]}).tolist()
        [0, 1, 1]
    """
    first = list(range(len(columns)))
    taken: set[int] = set()
    for name in groups:
        members = _columns_of(name, columns, groups)
        if taken & set(members):
            raise ValueError(f"A column of the group {name!r} is also in another group.")
        taken |= set(members)
        for member in members:
            first[member] = members[0]
    return torch.unique(torch.tensor(first), return_inverse=True)[1]


def _columns_of(name: str, columns: Sequence[str], groups: ColumnGroups) -> list[int]:
    positions = {column: position for position, column in enumerate(columns)}
    members = groups.get(name, [name])
    for member in members:
        if member not in positions:
            raise ValueError(
                f"There is no column{' or group' if name not in groups else ''} {member!r}"
                f"{nearest(member, [*positions, *groups])}."
            )
    return sorted(positions[member] for member in members)
