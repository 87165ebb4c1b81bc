"""The counterfactuals that change a prediction most."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from salreg.audit.findings import Pair


class Candidate(NamedTuple):
    """A sample and its counterfactual, of which there are many.

    Attributes:
        axis: Of what was changed.
        kind: How.
        change: From what to what, in words.
        row: Which sample it is.
        before: Written out.
        after: Likewise.
        was: The class and the probability of the positive one, before.
        now: After.
    """

    axis: str
    kind: str
    change: str
    row: int
    before: str
    after: str
    was: tuple[int, float]
    now: tuple[int, float]


def worst_pairs(candidates: Sequence[Candidate], classes: Sequence[str], target: Tensor, count: int) -> list[Pair]:
    """Those whose probability changes most, one for each sample and axis; those that change the class first.

    Where there are several axes, each has its turn, so that one does not hide the others.
    """
    ordered = sorted(candidates, key=lambda one: (one.was[0] == one.now[0], -abs(one.was[1] - one.now[1])))
    by_axis: dict[str, list[Candidate]] = {}
    seen: set[tuple[str, int]] = set()
    for one in ordered:
        if (one.axis, one.row) not in seen:
            seen.add((one.axis, one.row))
            by_axis.setdefault(one.axis, []).append(one)
    turns = max((len(some) for some in by_axis.values()), default=0)
    chosen = [some[turn] for turn in range(turns) for some in by_axis.values() if turn < len(some)]
    return [
        Pair(
            one.axis, one.kind, one.change, one.before, one.after,
            (classes[one.was[0]], classes[one.now[0]]), (one.was[1], one.now[1]), classes[int(target[one.row])],
        )
        for one in chosen[:count]
    ]  # fmt: skip
