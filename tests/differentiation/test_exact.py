import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from salreg import SaliencyPenalty
from salreg.differentiation import gradient_of, in_backward, twice_differentiable


def test_gradient_is_per_sample():
    x = torch.randn(3, 4, requires_grad=True)
    assert torch.allclose(gradient_of((x**2).sum(1), x), 2 * x)


def test_attention_has_a_second_derivative_inside_the_context():
    q = torch.randn(1, 1, 4, 8, requires_grad=True)
    with twice_differentiable(nn.Identity()):
        out = scaled_dot_product_attention(q, q, q)
    gradient_of(out.square().sum((1, 2, 3)), q, create_graph=True).square().sum().backward()
    assert q.grad.abs().sum() > 0


def test_contexts_of_several_losses_end_in_the_order_in_which_they_nest():
    entered = []

    class Noted:
        def __init__(self, name):
            self.name = name

        def __enter__(self):
            entered.append(self.name)

        def __exit__(self, *_):
            assert entered.pop() == self.name

    losses = [torch.ones(1, requires_grad=True).sum() for _ in range(3)]
    for number, loss in enumerate(losses):
        in_backward(loss, lambda number=number: Noted(number))
    sum(losses).backward()
    assert entered == []


def test_after_several_penalties_of_a_step_attention_is_fused_again():
    model, x = nn.Linear(4, 3), torch.rand(2, 4)
    step = torch.zeros(())
    for loss in ("rrr", "energy"):
        penalty = SaliencyPenalty(loss=loss)
        with penalty.watch(model) as watch:
            model(x)
        step = step + watch.penalty(torch.tensor([0, 1]), torch.tensor([[-1, 0, 0, 0]]).expand(2, 4))
    step.backward()
    assert torch.backends.cuda.flash_sdp_enabled()


def test_after_a_failed_backward_pass_attention_is_fused_again():
    class Failing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            raise RuntimeError("out of memory")

    def math_only(x):
        loss = Failing.apply(x).sum()
        in_backward(loss, lambda: twice_differentiable(nn.Identity()))
        return loss

    with pytest.raises(RuntimeError, match="out of memory"):
        math_only(torch.ones(1, requires_grad=True)).backward()
    assert torch.backends.cuda.flash_sdp_enabled()


def test_a_score_that_ignores_the_tap_is_explained():
    x, w = torch.randn(2, 3, requires_grad=True), torch.randn(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="are the logits detached"):
        gradient_of(w * 2, x)
