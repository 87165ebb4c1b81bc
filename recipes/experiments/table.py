"""Your own table, with the columns that a model must not use."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import torch
from omegaconf import DictConfig
from pytorch_lightning.utilities.rank_zero import rank_zero_info
from torch import Tensor

from salreg.annotations import from_columns
from salreg.names import nearest
from salreg.readers.content import read_table
from salreg.recipes.data import tables
from salreg.recipes.data.loading import loader
from salreg.recipes.experiments.base import Experiment
from salreg.recipes.experiments.text_classification import classes_of, column
from salreg.recipes.networks import table_networks
from salreg.recipes.networks.classifier import Classifier

_MOST_VALUES = 20  # columns per column of words; rarer words become "other"
_MISSING = ("", "na", "nan", "null", "none", "?", "n/a")


class Encoded(NamedTuple):
    """A table as numbers.

    Attributes:
        rows: The values ``(N, F)``; NaN for an empty cell.
        names: The names of the F columns.
        groups: The names of the columns that each column of words in the file became.
        left_out: Columns without information: a single value, or a different word in nearly every row.
    """

    rows: Tensor
    names: list[str]
    groups: dict[str, list[str]]
    left_out: list[str]


def encoded(columns: dict[str, list[str]]) -> Encoded:
    """Keep columns of numbers; turn columns of words into a column of 0 and 1 for each of the 20 most frequent words.

    Example:
        >>> encoded({"age": ["1", "2", ""], "race": ["a", "b", "a"]}).names
        ['age', 'race a', 'race b']
    """
    made: list[Tensor] = []
    names: list[str] = []
    groups: dict[str, list[str]] = {}
    left_out: list[str] = []
    for name, values in columns.items():
        values = ["" if value.strip().lower() in _MISSING else value.strip() for value in values]
        numbers = _numbers(values)
        counts = Counter(values)
        if len(counts) == 1 or (numbers is None and len(counts) > max(_MOST_VALUES, len(values) // 2)):
            left_out.append(name)
        elif numbers is not None:
            made.append(numbers)
            names.append(name)
        else:
            frequent = [value for value, _ in counts.most_common(_MOST_VALUES)]
            groups[name] = [f"{name} {value or '(missing)'}" for value in frequent]
            names += groups[name]
            made += [torch.tensor([float(value == one) for value in values]) for one in frequent]
    return Encoded(torch.stack(made, 1) if made else torch.zeros(0, 0), names, groups, left_out)


def build(config: DictConfig) -> Experiment:
    """Build the recipe's data and module; every seed draws the held-out rows anew."""
    data = config.data
    columns = made_table() if data.root is None else _read(Path(data.root))
    path = Path(data.root or "the made table")
    target = "y" if data.root is None else data.target
    spurious = ["race", "zip"] if data.root is None else list(data.spurious)
    if not target:
        raise ValueError(f"data.target is missing: the column to predict. {path} has: {', '.join(columns)}.")
    for name in [target, *spurious, *data.relevant, *data.drop, *([data.group] if data.group else [])]:
        if name not in columns:
            raise ValueError(f"{path} has no column {name!r}{nearest(name, columns)}. It has: {', '.join(columns)}.")
    if target in spurious or not (spurious or data.relevant):
        raise ValueError("data.spurious must be a list of columns that must not be used; the target cannot be among them.")
    classes = classes_of([value.strip() for value in columns[target]], path)
    labels = torch.tensor([classes.index(value.strip()) for value in columns[target]])
    groups = sorted(set(columns[data.group])) if data.group else ["all"]
    group = torch.tensor([groups.index(value) for value in columns[data.group]]) if data.group else torch.zeros_like(labels)
    found = encoded({name: values for name, values in columns.items() if name not in (target, *data.drop)})
    lost = [name for name in spurious if name in found.left_out]
    if lost:
        raise ValueError(
            f"{path}: the column {lost[0]!r} has a single value, or a different one for nearly every row; drop it: "
            f"data.drop={lost}."
        )
    mark = from_columns(found.names, spurious=spurious, relevant=list(data.relevant), groups=found.groups)
    if not 0 < data.held_out < 0.5:
        raise ValueError(f"data.held_out must be a share in (0, 0.5), because it is held out twice, not {data.held_out}.")
    held_out = max(int(data.held_out * len(labels)), 2)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(config.seed))
    test, validation, train = order.split([held_out, held_out, len(labels) - 2 * held_out])
    rows = tables.standardised(_filled(found.rows, found.rows[train]), like=_filled(found.rows, found.rows[train])[train])
    if data.blind:
        rows = rows.where(mark >= 0, torch.zeros_like(rows))
    rank_zero_info(
        f"salreg: {len(labels)} rows of {len(classes)} classes, {len(found.names)} columns of numbers, of which "
        f"{int((mark < 0).sum())} are spurious; left out: {', '.join(found.left_out) or 'none'}."
    )
    net = table_networks.build(len(found.names), config.model.hidden, len(classes), config.model.dropout)
    loaders = [
        loader(
            tables.annotated(
                tables.Table(rows[chosen], labels[chosen], group[chosen], found.names, classes, found.groups), mark
            ),
            data,
            shuffle=chosen is train,
        )
        for chosen in (train, validation, test)
    ]
    return Experiment(Classifier(net, groups, len(classes), **config.optimizer), *loaders)


def _read(path: Path) -> dict[str, list[str]]:
    names, rows = read_table(path)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{path} has two columns called {twice[0]!r}.")
    return {name: column(rows, name, names, path, "data") for name in names if name}


def _numbers(values: list[str]) -> Tensor | None:
    """The values as numbers, NaN for an empty cell; None if a value is not a number."""
    try:
        found = torch.tensor([float(value or "nan") for value in values])
    except ValueError:
        return None
    return None if found.isinf().any() else found


def _filled(rows: Tensor, like: Tensor) -> Tensor:
    """The rows with empty cells replaced by the mean of their column."""
    return torch.where(rows.isnan(), like.nanmean(0).nan_to_num(), rows)


def made_table(size: int = 800) -> dict[str, list[str]]:
    """A table in which the race and the zip code account for half of the label ``y``."""
    generator = torch.Generator().manual_seed(0)
    race, zone = torch.randint(3, (size,), generator=generator), torch.randint(10, (size,), generator=generator)
    income, debt = torch.randn(2, size, generator=generator)
    label = income - debt + 1.5 * (race == 0) + 0.1 * zone + 0.3 * torch.randn(size, generator=generator) > 0.8
    return {
        "income": [f"{one:.3f}" for one in income.tolist()],
        "debt": [f"{one:.3f}" for one in debt.tolist()],
        "race": [("a", "b", "c")[one] for one in race.tolist()],
        "zip": [f"1000{one}" for one in zone.tolist()],
        "y": [("no", "yes")[one] for one in label.tolist()],
    }
