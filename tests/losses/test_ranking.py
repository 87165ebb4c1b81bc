"""Losses on the order of places, against double loops."""

import pytest
import torch

from salreg.losses import OrderLoss, RankingLoss


def ranking_by_pairs(maps, marks):
    losses = []
    for m, a in zip(maps, marks, strict=True):
        pairs = [(j, k) for j in range(len(a)) for k in range(len(a)) if a[j].sign() > a[k].sign()]
        losses.append(sum((m[k] - m[j]).clamp(min=0) for j, k in pairs) / len(pairs))
    return torch.stack(losses)


def marked(kinds, seed=0):
    torch.manual_seed(seed)
    return torch.randn(4, 9, dtype=torch.float64), torch.tensor(kinds)[torch.randint(0, len(kinds), (4, 9))].double()


@pytest.mark.parametrize("kinds", [[1.0, 0.0], [0.0, -1.0], [1.0, 0.0, -1.0], [1.0, -1.0], [0.5, 0.0, -0.2]])
def test_ranking_is_the_mean_over_all_pairs_that_the_person_ordered(kinds):
    maps, marks = marked(kinds)
    torch.testing.assert_close(RankingLoss().per_sample(maps, marks).value, ranking_by_pairs(maps, marks))


def test_its_gradient_is_the_pairs_gradient():
    maps, marks = marked([1.0, 0.0, -1.0])
    maps.requires_grad_()
    ours, theirs = RankingLoss()(maps, marks), ranking_by_pairs(maps, marks).mean()
    torch.testing.assert_close(torch.autograd.grad(ours, maps)[0], torch.autograd.grad(theirs, maps)[0])


def test_a_map_of_several_channels_is_summed_and_has_one_annotation():
    maps, marks = torch.randn(4, 2, 3, 3), torch.randint(-1, 2, (4, 1, 3, 3)).double()
    expected = ranking_by_pairs(maps.sum(1).flatten(1), marks.flatten(1))
    for annotation in (marks, marks.expand(4, 2, 3, 3)):
        torch.testing.assert_close(RankingLoss().per_sample(maps, annotation).value, expected)


def test_ties_cost_nothing():
    assert RankingLoss()(torch.ones(1, 3), torch.tensor([[1.0, 0.0, -1.0]])) == 0


def test_a_sample_without_pairs_is_undefined():
    losses = RankingLoss().per_sample(torch.rand(3, 4), torch.tensor([[1.0] * 4, [1.0, 0, 0, 0], [0.0] * 4]))
    assert losses.undefined.tolist() == [True, False, False]
    assert losses.scored.tolist() == [False, True, False]


def test_order_is_the_published_loop():
    maps, marks = marked([1.0, 0.0])
    attention = maps.sigmoid()
    expected = []
    for m, a in zip(attention, marks, strict=True):
        highest = max(m[k] for k in range(9) if a[k] == 0)
        expected.append(sum(min(m[j] / highest - 1, torch.zeros(())) ** 2 for j in range(9) if a[j] > 0))
    torch.testing.assert_close(OrderLoss().per_sample(maps, marks).value, torch.stack(expected).double())


def test_order_needs_a_place_to_compare_with():
    assert OrderLoss().per_sample(torch.rand(1, 3), torch.ones(1, 3)).undefined.all()
