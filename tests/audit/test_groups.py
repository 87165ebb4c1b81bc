"""Rates by group beside those of an independent library, and counted by hand."""

import pytest
import torch

from salreg.audit import Bootstrap, gaps, group_rates
from salreg.audit.groups import RATES

TORCH = torch.Generator().manual_seed(0)
TARGET = torch.randint(2, (300,), generator=TORCH)
PREDICTED = torch.where(torch.rand(300, generator=TORCH) < 0.7, TARGET, 1 - TARGET)
GROUP = torch.randint(3, (300,), generator=TORCH)
MEMBERS = {name: number == GROUP for number, name in enumerate("abc")}


def test_rates_and_gaps_are_those_of_fairlearn():
    fairlearn = pytest.importorskip("fairlearn.metrics")
    metrics = pytest.importorskip("sklearn.metrics")
    frame = fairlearn.MetricFrame(
        metrics=dict(
            zip(RATES, (metrics.accuracy_score, fairlearn.false_positive_rate, fairlearn.false_negative_rate), strict=True)
        ),
        y_true=TARGET.numpy(),
        y_pred=PREDICTED.numpy(),
        sensitive_features=["abc"[one] for one in GROUP],
    )
    bootstrap = Bootstrap(300)
    for found in group_rates(TARGET, PREDICTED, MEMBERS, "letters", 1, bootstrap):
        for rate, interval in found.rates.items():
            assert interval.value == pytest.approx(frame.by_group[rate][found.name])
            assert interval.low <= interval.value <= interval.high
    differences = frame.difference(method="between_groups")
    found = gaps(TARGET, PREDICTED, MEMBERS, "letters", 1, bootstrap)
    assert {one.rate: one.difference.value for one in found} == pytest.approx(dict(differences))


def test_groups_may_overlap_and_rates_without_cases_are_left_out_of_gaps():
    target, predicted = torch.tensor([1, 1, 0, 0]), torch.tensor([1, 0, 0, 1])
    groups = {"left": torch.tensor([True, True, False, False]), "most": torch.tensor([True, True, True, False])}
    left, most = group_rates(target, predicted, groups, "side", 1, Bootstrap(4))
    assert (left.count, most.count) == (2, 3)
    assert left.rates["false_positive_rate"].cases == 0
    assert most.rates["accuracy"].value == pytest.approx(2 / 3)
    assert {one.rate for one in gaps(target, predicted, groups, "side", 1, Bootstrap(4))} == {"accuracy", "false_negative_rate"}


def test_a_gap_names_the_groups_and_an_interval_of_noise_reaches_below_zero():
    target = torch.ones(200, dtype=torch.long)
    predicted = torch.ones(200, dtype=torch.long)
    predicted[:10], predicted[100:112] = 0, 0
    groups = {"first": torch.arange(200) < 100, "second": torch.arange(200) >= 100}
    found = {one.rate: one for one in gaps(target, predicted, groups, "half", 1, Bootstrap(200))}
    accuracy = found["accuracy"]
    assert (accuracy.highest, accuracy.lowest) == ("first", "second")
    assert accuracy.difference.value == pytest.approx(0.02)
    assert accuracy.difference.low < 0 < accuracy.difference.high
    assert "false_positive_rate" not in found
