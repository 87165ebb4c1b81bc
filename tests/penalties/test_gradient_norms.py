"""How strongly a penalty pulls at each group of parameters."""

import pytest
import torch
from torch import nn

from salreg import DeadPenaltyError
from salreg.penalties.base import gradient_norms


def test_each_group_has_its_norm_and_one_that_is_not_reached_has_none():
    one, two, other = (nn.Parameter(torch.tensor(values)) for values in ([1.0, 2.0], [3.0], [5.0]))
    penalty = (3 * one).sum() + two.square().sum()
    norms = gradient_norms(penalty, {"first": [one, two], "second": [other]})
    assert norms == pytest.approx({"first": (9 + 9 + 36) ** 0.5, "second": 0.0})
    assert one.grad is None
    assert gradient_norms(penalty, {"two": [two]}) == pytest.approx({"two": 6.0})  # the graph is still there


def test_a_penalty_that_reaches_none_is_dead():
    one, other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    with pytest.raises(DeadPenaltyError, match=r"gradient is zero in every trainable parameter \(other\)"):
        gradient_norms(one.sum(), {"other": [other]})
    with pytest.raises(DeadPenaltyError, match="there is none"):
        gradient_norms(one.sum(), {})
