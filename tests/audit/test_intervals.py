"""Bootstrap intervals."""

import math

import pytest
import torch

from salreg.audit import Bootstrap


def test_an_interval_of_a_share_is_as_wide_as_the_normal_approximation_says():
    torch.manual_seed(0)
    changed = (torch.rand(400) < 0.3).float()
    found = Bootstrap(400, times=4000).ratio(changed, torch.ones(400))
    share = float(changed.mean())
    half = 1.96 * math.sqrt(share * (1 - share) / 400)
    assert found.value == pytest.approx(share)
    assert (found.low, found.high) == pytest.approx((share - half, share + half), abs=0.006)
    assert found.cases == 400


def test_a_share_of_none_or_all_has_the_exact_binomial_bound():
    none = Bootstrap(20).ratio(torch.zeros(20), torch.ones(20))
    assert (none.value, none.low, none.high) == pytest.approx((0, 0, 1 - 0.025 ** (1 / 20)))
    every = Bootstrap(20).ratio(torch.ones(20), torch.ones(20))
    assert (every.low, every.high) == pytest.approx((0.025 ** (1 / 20), 1))


def test_several_cases_of_one_sample_are_drawn_together():
    """Ten texts with ten counterparts each, alike within a text, tell as much as ten texts."""
    changed = torch.tensor([10.0] * 5 + [0.0] * 5)
    together = Bootstrap(10, times=2000).ratio(changed, torch.full((10,), 10.0))
    alone = Bootstrap(10, times=2000).ratio(changed / 10, torch.ones(10))
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high))
    assert together.cases == 100


def test_a_difference_of_a_rate_with_itself_is_nothing():
    one = torch.tensor([1.0, 0.0, 1.0]), torch.ones(3)
    assert Bootstrap(3).difference(one, one)[:3] == (0, 0, 0)


def test_the_same_seed_gives_the_same_interval_and_nothing_counted_gives_nan():
    parts = torch.tensor([1.0, 0.0, 0.0, 1.0])
    assert Bootstrap(4, seed=3).ratio(parts, torch.ones(4)) == Bootstrap(4, seed=3).ratio(parts, torch.ones(4))
    empty = Bootstrap(4).ratio(torch.zeros(4), torch.zeros(4))
    assert math.isnan(empty.value)
    assert math.isnan(empty.low)
    assert empty.cases == 0


def test_many_samples_are_drawn_piece_by_piece_with_the_same_result(monkeypatch):
    parts = (torch.arange(50) % 3 == 0).float()
    kept = Bootstrap(50, times=90).ratio(parts, torch.ones(50))
    monkeypatch.setattr("salreg.audit.intervals._NUMBERS_AT_ONCE", 50 * 7)
    assert Bootstrap(50, times=90).ratio(parts, torch.ones(50)) == pytest.approx(kept)
