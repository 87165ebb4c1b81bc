import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from salreg.differentiation import gradient_of, twice_differentiable


def test_gradient_is_per_sample():
    x = torch.randn(3, 4, requires_grad=True)
    assert torch.allclose(gradient_of((x**2).sum(1), x), 2 * x)


def test_attention_has_a_second_derivative_inside_the_context():
    q = torch.randn(1, 1, 4, 8, requires_grad=True)
    with twice_differentiable(nn.Identity()):
        out = scaled_dot_product_attention(q, q, q)
    gradient_of(out.square().sum((1, 2, 3)), q, create_graph=True).square().sum().backward()
    assert q.grad.abs().sum() > 0


def test_a_score_that_ignores_the_tap_is_explained():
    x, w = torch.randn(2, 3, requires_grad=True), torch.randn(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="are the logits detached"):
        gradient_of(w * 2, x)
