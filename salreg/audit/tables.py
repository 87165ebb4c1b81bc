"""The audit of a classifier of table rows, feature by feature and group by group."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from salreg.annotations import ColumnGroups
from salreg.attributions import name_of
from salreg.audit import words
from salreg.audit.changes import Changes
from salreg.audit.findings import Audit, Change, Use
from salreg.audit.groups import by_group, members_of
from salreg.audit.intervals import Bootstrap, Interval
from salreg.audit.models import device_of, families, share_on
from salreg.audit.pairs import Candidate, worst_pairs
from salreg.audit.predicting import Outputs, Predictor
from salreg.eval_mode import eval_mode
from salreg.names import nearest

_MOST_VALUES = 12  # of a feature, each of which every row gets; of more, some are drawn
_MOST_NOTED = 50  # counterfactuals of one value
_MOST_MAPS = 2000  # rows whose maps are made


def audit_table(
    model: Callable[[Tensor], Any] | nn.Module,
    rows: Tensor,
    labels: Sequence[int] | Tensor,
    columns: Sequence[str],
    *,
    features: ColumnGroups | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    classes: Sequence[str] | None = None,
    positive: int = 1,
    outputs: Outputs = "logits",
    marked: str = "",
    worst: int = 12,
    batch_size: int = 4096,
    draws: int = 1000,
    seed: int = 0,
    progress: bool = True,
) -> Audit:
    """Audit what a classifier of rows relies on, and for whom it is wrong.

    Args:
        model: Maps rows ``(B, F)`` to logits ``(B, C)``; if it is a module, its maps are measured too.
        rows: Data that it was not trained on, ``(N, F)``.
        labels: True classes ``(N,)``.
        columns: The names of all F columns.
        features: Columns by feature, for features that take several, such as a one-hot code; every other column is a separate
            feature.
        groups: Divisions of the rows by name, each with the group of each of the N rows.
        classes: The names of the classes; by default their numbers.
        positive: The class whose probability is tracked.
        outputs: Whether the model returns ``logits`` or ``probabilities``.
        marked: What was marked in training, in words, for the report.
        worst: The number of counterfactual pairs to keep.
        batch_size: The number of rows per batch.
        draws: The number of bootstrap draws.
        seed: The seed of all random numbers.
        progress: Whether to show progress bars.

    Raises:
        ValueError: There are no rows, the number of labels, columns or groups does not fit, ``features`` has an unknown column,
            a class is invalid, or the model's outputs contradict ``outputs``.

    Example:
        >>> net = nn.Linear(3, 2)
        >>> found = audit_table(net, torch.rand(8, 3), [0, 1] * 4, ["age", "race a", "race b"],
        ...                     features={"race": ["race a", "race b"]}, progress=False)
        >>> [use.name for use in found.uses]
        ['age', 'race']
    """
    target = torch.as_tensor(labels).cpu()
    if rows.ndim != 2 or not len(rows) or target.shape != rows.shape[:1] or rows.shape[1] != len(columns):
        raise ValueError(
            f"Rows {tuple(rows.shape)}, labels {tuple(target.shape)} and {len(columns)} names of columns do not fit: they must "
            "be (N, F), (N,) and F."
        )
    predictor = Predictor(_on_its_device(model), outputs, batch_size, progress)
    changes = Changes(predictor, rows, target, positive, Bootstrap(len(rows), times=draws, seed=seed), classes)
    names = changes.names
    explained = isinstance(model, nn.Module)
    table = _Table(rows, list(columns), features or {}, changes, seed, _maps(model, rows, changes) if explained else {})
    uses = [table.use(feature) for feature in table.features]
    divided = {axis: members_of(axis, names_of, len(rows)) for axis, names_of in (groups or {}).items()}
    rates, differences = by_group(target, changes.before.classes, divided, positive, changes.bootstrap)
    return Audit(
        "table", len(rows), names, names[positive], uses, rates, differences,
        worst_pairs(changes.candidates, names, target, worst), marked,
        words.measured_of_tables(len(rows), changes.bootstrap, explained), words.unknown_of_tables(uses, rates, explained),
    )  # fmt: skip


class _Table:
    """Rows, the columns of each feature, and maps of the first rows by attribution."""

    def __init__(
        self,
        rows: Tensor,
        columns: list[str],
        features: ColumnGroups,
        changes: Changes,
        seed: int,
        maps: Mapping[str, Tensor],
    ) -> None:
        self.rows, self.columns, self.changes, self.maps = rows, columns, changes, maps
        self.features: dict[str, list[int]] = {}
        self._generator = torch.Generator().manual_seed(seed)
        owner = {column: name for name, members in features.items() for column in members}
        for column in owner:
            if column not in columns:
                raise ValueError(f"There is no column {column!r}{nearest(column, columns)}.")
        for number, column in enumerate(columns):
            self.features.setdefault(owner.get(column, column), []).append(number)

    def use(self, feature: str) -> Use:
        own = self.features[feature]
        changes = {"substitution": self._exchanged(feature, own), "removal": self._removed(own)}
        return Use("columns", feature, len(self.rows), changes, self._saliency(own), len(own) / len(self.columns))

    def _exchanged(self, feature: str, own: list[int]) -> Change:
        """Every row with each other value that the feature has, or with some that are drawn."""
        values = self.rows[:, own].unique(dim=0)
        if len(values) > _MOST_VALUES:
            drawn = torch.randint(len(self.rows), (_MOST_VALUES,), generator=self._generator)
            values = self.rows[drawn][:, own]
        which: list[int] = []
        parts = []
        for value in values:
            others = (self.rows[:, own] != value).any(1).nonzero().flatten()
            changed = self.rows[others].clone()
            changed[:, own] = value
            seen = self.changes.predicted(changed)
            self._note(feature, own, others.tolist(), changed, seen)
            which += others.tolist()
            parts.append(seen)
        return self.changes.compared(which, self.changes.joined(parts), None)

    def _removed(self, own: list[int]) -> Change:
        changed = self.rows.clone()
        changed[:, own] = self.rows[:, own].mean(0)
        return self.changes.compared(range(len(self.rows)), self.changes.predicted(changed), None)

    def _note(self, feature: str, own: list[int], which: list[int], changed: Tensor, seen: Any) -> None:
        """Keep the counterfactuals that change most."""
        change = (seen.positive - self.changes.own.positive[which]).abs() + (seen.classes != self.changes.own.classes[which])
        for turn in change.topk(min(_MOST_NOTED, len(which))).indices.tolist():
            row = which[turn]
            before, after = self.value(self.rows[row], feature, own), self.value(changed[turn], feature, own)
            self.changes.candidates.append(
                Candidate(
                    feature, "substitution", f"{before} → {after}", row,
                    self.written(self.rows[row]), self.written(changed[turn]), self.changes.own.of(row), seen.of(turn),
                )
            )  # fmt: skip

    def written(self, row: Tensor) -> str:
        """A row in words, feature by feature."""
        return "; ".join(f"{name}: {self.value(row, name, own)}" for name, own in self.features.items())

    def value(self, row: Tensor, feature: str, own: list[int]) -> str:
        """Of several columns, the name of the highest, which is the one of a one-hot code that is 1."""
        if len(own) == 1:
            return f"{float(row[own[0]]):.3g}"
        return self.columns[own[int(row[own].argmax())]].removeprefix(feature).strip(" :=_")

    def _saliency(self, own: list[int]) -> dict[str, Interval]:
        """The shares of the maps on a feature's columns."""
        inside = torch.zeros(self.rows[:_MOST_MAPS].shape, dtype=torch.bool)
        inside[:, own] = True
        bootstrap = Bootstrap(len(inside), times=self.changes.bootstrap.times, seed=self.changes.bootstrap.seed)
        shares = {name: share_on(one, inside, torch.ones_like(inside)) for name, one in self.maps.items()}
        return {name: bootstrap.ratio(one.nan_to_num(), (~one.isnan()).float(), share=False) for name, one in shares.items()}


def _maps(model: Any, rows: Tensor, changes: Changes) -> dict[str, Tensor]:
    """Maps of the first rows, by attribution; what is explained is the logit of the class that is predicted."""
    rows, device = rows[:_MOST_MAPS], device_of(model)
    target = changes.own.classes[: len(rows)].to(device)
    with eval_mode(model):
        return {name_of(one): one(model, rows.to(device), target).cpu() for one in families()}


def _on_its_device(model: Callable[[Tensor], Any] | nn.Module) -> Callable[[Tensor], Any]:
    """A module in eval mode, and rows brought to where it is."""
    if not isinstance(model, nn.Module):
        return model

    def asked(rows: Tensor) -> Any:
        with eval_mode(model):
            return model(rows.to(device_of(model)))

    return asked
