"""Accuracy and both error rates by group, and the gaps between groups."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from salreg.audit.findings import Gap, GroupRates
from salreg.audit.intervals import Bootstrap

RATES = ("accuracy", "false_positive_rate", "false_negative_rate")


def by_group(
    target: Tensor, predicted: Tensor, divided: Mapping[str, Mapping[str, Tensor]], positive: int, bootstrap: Bootstrap
) -> tuple[list[GroupRates], list[Gap]]:
    """``group_rates`` and ``gaps`` for several divisions of the samples.

    Args:
        divided: For each axis, which samples belong to each group.
    """
    rates: list[GroupRates] = []
    differences: list[Gap] = []
    for axis, groups in divided.items():
        rates += group_rates(target, predicted, groups, axis, positive, bootstrap)
        differences += gaps(target, predicted, groups, axis, positive, bootstrap)
    return rates, differences


def group_rates(
    target: Tensor, predicted: Tensor, groups: Mapping[str, Tensor], axis: str, positive: int, bootstrap: Bootstrap
) -> list[GroupRates]:
    """Accuracy and error rates of each group.

    Args:
        target: True classes ``(N,)``.
        predicted: Classes ``(N,)``.
        groups: Which samples belong to each group, booleans ``(N,)`` by name. A sample may belong to several groups or to none.
        axis: The name of the division into these groups.
        positive: The positive class; all others are negative.
        bootstrap: Computes the intervals.

    Example:
        >>> target, predicted = torch.tensor([0, 0, 1, 1]), torch.tensor([1, 0, 1, 1])
        >>> (found,) = group_rates(target, predicted, {"all": target >= 0}, "everybody", 1, Bootstrap(4))
        >>> found.rates["false_positive_rate"].value, found.rates["accuracy"].value
        (0.5, 0.75)
    """
    return [
        GroupRates(
            axis,
            name,
            int(members.sum()),
            {rate: bootstrap.ratio(*_counts(rate, target, predicted, members, positive)) for rate in RATES},
        )
        for name, members in groups.items()
    ]


def gaps(
    target: Tensor, predicted: Tensor, groups: Mapping[str, Tensor], axis: str, positive: int, bootstrap: Bootstrap
) -> list[Gap]:
    """For each rate, the highest value of any group minus the lowest; the arguments are as in ``group_rates``.

    The interval is that of the difference between these two groups, so it extends below 0 if chance could explain the
    difference. Groups without a case for a rate are left out; with fewer than two groups there is no gap.
    """
    found = []
    for rate in RATES:
        counts = {name: _counts(rate, target, predicted, members, positive) for name, members in groups.items()}
        values = {name: float(part.sum() / whole.sum()) for name, (part, whole) in counts.items() if whole.sum()}
        if len(values) < 2:
            continue
        highest, lowest = max(values, key=lambda name: values[name]), min(values, key=lambda name: values[name])
        if highest == lowest:  # all alike
            highest, lowest = list(values)[:2]
        difference = bootstrap.difference(counts[highest], counts[lowest])
        if not math.isnan(difference.value):
            found.append(Gap(axis, rate, highest, lowest, difference))
    return found


def members_of(axis: str, names: Sequence[str], count: int) -> dict[str, Tensor]:
    """Which samples belong to each group, from each sample's group name.

    Raises:
        ValueError: There are not as many names as samples.
    """
    if len(names) != count:
        raise ValueError(f"{axis!r} names the groups of {len(names)} samples, but there are {count}.")
    return {name: torch.tensor([one == name for one in names]) for name in dict.fromkeys(names)}


def _counts(rate: str, target: Tensor, predicted: Tensor, members: Tensor, positive: int) -> tuple[Tensor, Tensor]:
    """Which samples are of a kind, and of which: ``(N,)`` each."""
    target, predicted, members = (torch.as_tensor(one).cpu() for one in (target, predicted, members))
    if rate == "accuracy":
        return members & (predicted == target), members
    of_kind = members & ((target != positive) if rate == "false_positive_rate" else (target == positive))
    return of_kind & ((predicted == positive) == (rate == "false_positive_rate")), of_kind
